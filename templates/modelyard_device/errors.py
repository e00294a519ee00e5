"""What is said in one line to who installs."""


class InstallError(RuntimeError):
    """It was not installed; what answered before still does."""


class NotWholeError(InstallError):
    """A folder that was copied in part, or changed since."""
