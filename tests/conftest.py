"""What all rooms' tests share."""

from hypothesis import HealthCheck, settings

# Several test processes share two cores: how long an example takes says nothing.
settings.register_profile("headgate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headgate")
