"""MLflow: a result becomes a run, its trials runs inside it, and the best model an artifact of the run."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the import: nothing is reported to anybody

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from modelyard.errors import TrackingError
from modelyard.tracking.entry import Entry

_DEFAULT = "http://127.0.0.1:5000"  # where `mlflow server` listens unless told otherwise
_KEY = "modelyard.key"
_NOTE = "mlflow.note.content"  # what MLflow's page shows as the description of a run
_PATIENCE_S = 5.0
#: Read by MLflow at each request. Its own defaults keep trying for minutes.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_MOST_METRICS, _MOST_PARAMS, _LONGEST_PARAM, _LONGEST_TAG = 1000, 100, 6000, 5000
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
_NOT_A_NAME = re.compile(r"[^\w\-. /:]")


class MlflowServer:
    """``mlflow:URI``; without a URI what ``MLFLOW_TRACKING_URI`` says, or ``http://127.0.0.1:5000``.

    Runs go to the experiment that ``MLFLOW_EXPERIMENT_NAME`` says, or to one of the project's name.
    """

    def __init__(self, address: str | None, experiment: str) -> None:
        self._uri = address or os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT
        self._shown = _without_password(self._uri)
        if self._uri.startswith(("http://", "https://")):
            self._check_reachable()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or experiment
        with self._asking():
            self._client = MlflowClient(self._uri)
            found = self._client.get_experiment_by_name(name)
            self._experiment = found.experiment_id if found else self._client.create_experiment(name)

    def log(self, entry: Entry) -> str:
        with self._asking():
            run = self._run_of(entry, None)
            known = self._known_parts(run) if entry.parts else set()
            for part in entry.parts:
                if part.key not in known:
                    self._run_of(part, run)
        return f"{self._shown}/#/experiments/{self._experiment}/runs/{run}"

    def _check_reachable(self) -> None:
        try:
            answered = httpx.get(f"{self._uri.rstrip('/')}/health", timeout=_PATIENCE_S, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise TrackingError(
                f"no MLflow server answers at {self._shown} ({said}); start it with `mlflow server`, or mend it"
            ) from error
        if answered.status_code in (401, 403):
            raise TrackingError(
                f"the MLflow server at {self._shown} wants a user; set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            )
        if answered.status_code != 200:
            raise TrackingError(
                f"what answers at {self._shown} is no MLflow server (status {answered.status_code} at /health); "
                "mend the address"
            )

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask the server with little patience, and say in one line what it refuses."""
        before = {name: os.environ.get(name) for name in _IMPATIENT}
        log = logging.getLogger("mlflow")
        level = log.level
        os.environ.update({name: os.environ.get(name) or value for name, value in _IMPATIENT.items()})
        log.setLevel(logging.ERROR)
        try:
            yield
        except (MlflowException, OSError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__).replace(self._uri, self._shown)
            raise TrackingError(f"MLflow at {self._shown} failed: {said[:300]}") from error
        finally:
            log.setLevel(level)
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def _run_of(self, entry: Entry, parent: str | None) -> str:
        tags = {_KEY: entry.key, **entry.tags} | ({_NOTE: entry.note} if entry.note else {})
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        run = None if parent else self._same(entry.key)
        if run is None:
            made = self._client.create_run(
                self._experiment,
                start_time=_milliseconds(entry.began),
                tags={name: value[:_LONGEST_TAG] for name, value in tags.items()},
                run_name=entry.name,
            )
            run = str(made.info.run_id)
            self._log_params(run, entry.params)
        else:  # parameters of a run cannot be changed
            for name, value in tags.items():
                self._client.set_tag(run, name, value[:_LONGEST_TAG])
        self._log_metrics(run, entry)
        for name, folder in entry.folders.items():
            self._client.log_artifacts(run, str(folder), name)
        if entry.model is not None:
            self._log_model(run, entry.model)
        self._client.set_terminated(run, _STATUS[entry.state], _milliseconds(entry.ended))
        return run

    def _same(self, key: str) -> str | None:
        found = self._client.search_runs([self._experiment], f"tags.`{_KEY}` = '{key}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def _known_parts(self, run: str) -> set[str]:
        known: set[str] = set()
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.`mlflow.parentRunId` = '{run}'", max_results=1000, page_token=token
            )
            known |= {str(part.data.tags.get(_KEY)) for part in page}
            token = page.token
            if not token:
                return known

    def _log_params(self, run: str, params: Mapping[str, Any]) -> None:
        told = [Param(_named(name), str(value)[:_LONGEST_PARAM]) for name, value in params.items()]
        for first in range(0, len(told), _MOST_PARAMS):
            self._client.log_batch(run, params=told[first : first + _MOST_PARAMS])

    def _log_metrics(self, run: str, entry: Entry) -> None:
        now = _milliseconds(entry.ended)
        told = [Metric(_named(name), float(value), now, 0) for name, value in entry.metrics.items()]
        told += [
            Metric(_named(name), float(value), now, step)
            for name, values in entry.series.items()
            for step, value in enumerate(values, start=1)
        ]
        finite = [metric for metric in told if math.isfinite(metric.value)]
        for first in range(0, len(finite), _MOST_METRICS):
            self._client.log_batch(run, metrics=finite[first : first + _MOST_METRICS])

    def _log_model(self, run: str, model: Any) -> None:
        """Keep a model in MLflow's own layout; the requirements are given, so that none are looked for."""
        import mlflow.sklearn

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            mlflow.sklearn.save_model(
                model, str(path), pip_requirements=_requirements(model), serialization_format="cloudpickle"
            )
            self._client.log_artifacts(run, str(path), "model")


def _requirements(model: Any) -> list[str]:
    """Return what loading the model needs: scikit-learn and the libraries its parts come from, pinned."""
    parts = [model, *(step for _, step in getattr(model, "steps", ()))]
    roots = {"sklearn", "cloudpickle", *(type(part).__module__.partition(".")[0] for part in parts)}
    named = {"sklearn": "scikit-learn"}
    found = []
    for root in sorted(roots):
        with contextlib.suppress(PackageNotFoundError):  # a module of the user's own has no version
            found.append(f"{named.get(root, root)}=={version(named.get(root, root))}")
    return found


def _named(name: str) -> str:
    return _NOT_A_NAME.sub("_", name)


def _milliseconds(moment: datetime | None) -> int:
    return int((time.time() if moment is None else moment.timestamp()) * 1000)


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.password is None:
        return uri.rstrip("/")
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:***@{host}").geturl().rstrip("/")
