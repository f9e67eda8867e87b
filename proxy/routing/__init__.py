"""Which backend, and why: catalogue and policy. Pure but for loading; must not know sockets or clocks."""
