"""Calls to AWS, each as the plan has it: one method of a boto3 client, and its failure in one line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from modelyard.errors import MissingExtraError
from modelyard.targets.calls import CallFailed, Send

_QUOTAS = ("LimitExceeded", "ServiceQuotaExceeded", "CodeStorageExceeded", "TooManyRequests", "Throttling")


def default_region() -> str | None:
    """Return the region of who names none: that of the environment, then the profile's."""
    try:
        from botocore.session import Session
    except ModuleNotFoundError:
        return None
    found: str | None = os.environ.get("AWS_REGION") or Session().get_config_variable("region")
    return found


def sender(region: str | None, extra: str) -> Send:
    """Return what makes calls in a region; the user's own credentials are found as boto3 finds them.

    Parameters
    ----------
    region : str or None
        Such as ``eu-central-1``; what the profile or ``AWS_REGION`` says by default.
    extra : str
        The extra of modelyard that brings boto3, for the message.

    Raises
    ------
    MissingExtraError
        boto3 is not installed.
    """
    try:
        import boto3
        from botocore import exceptions, xform_name
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"calls to AWS need {error.name!r}, which is not installed; type: pip install 'modelyard[{extra}]'"
        ) from error
    session = boto3.session.Session(region_name=region or default_region())
    clients: dict[str, Any] = {}

    def send(service: str, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            if service not in clients:
                clients[service] = session.client(service)
            answer: dict[str, Any] = getattr(clients[service], xform_name(operation))(**parameters)
        except exceptions.ClientError as error:
            told = error.response["Error"]
            message = (told.get("Message") or told["Code"]).rstrip(".")
            asks = f"; have it raised under Service Quotas of {service}" if _is_quota(told["Code"]) else ""
            raise CallFailed(told["Code"], f"{message}{asks}") from None
        except exceptions.NoRegionError:
            raise CallFailed("NoRegion", "no region is set; give one: --region eu-central-1") from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
            raise CallFailed(
                "NoCredentials", "no AWS credentials were found; type: aws configure, or set AWS_PROFILE"
            ) from None
        except exceptions.EndpointConnectionError as error:
            raise CallFailed("NoEndpoint", f"{error}; is {region!r} a region?") from None
        except exceptions.BotoCoreError as error:
            raise CallFailed(type(error).__name__, " ".join(str(error).split())) from None
        answer.pop("ResponseMetadata", None)
        return answer

    return send


def _is_quota(code: str) -> bool:
    """Whether a failure is that the account may not have more, or not so fast."""
    return code.startswith(_QUOTAS)
