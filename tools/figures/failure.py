"""What a user has to know, and the exit code. The codes are those of glesim."""

USAGE, WRITE, DATA, RESOURCES = 2, 3, 4, 5


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Missing(Failure):
    """A figure needs a run that is not there; command makes it."""

    def __init__(self, command):
        super().__init__(USAGE, f"a run is missing, which this makes: {command}")
        self.command = command
