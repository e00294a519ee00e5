"""What exists in this project: evaluations, studies, compressions, bundles and deployments."""

from modelyard.catalog._names import checked_name
from modelyard.catalog._project import find_root, user_config
from modelyard.catalog._settings import project_settings
from modelyard.catalog._store import Kind, Record, Yard, open_yard

__all__ = [
    "Kind",
    "Record",
    "Yard",
    "checked_name",
    "find_root",
    "open_yard",
    "project_settings",
    "user_config",
]
