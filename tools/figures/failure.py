"""What a user has to know, and the exit code. The codes are those of glesim."""

USAGE, WRITE, DATA, RESOURCES = 2, 3, 4, 5


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Missing(Failure):
    """A figure needs runs that are not there; each of the commands makes some."""

    def __init__(self, *commands):
        super().__init__(USAGE, "runs are missing, which these commands make: " + "; ".join(commands))
        self.commands = commands
