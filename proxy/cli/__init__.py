"""The `headgate` command, one file per noun. Knows arguments, exit codes and what a terminal shows; decides nothing."""
