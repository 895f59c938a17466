"""The client of a UniUltra server (a MONAI Label server that can also answer with a packed mask).

Needs numpy and requests only. Calls block, so the panel makes them in a worker thread. Nothing is logged.
"""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union
from urllib.parse import quote

from ..errors import PackedMaskError, PromptsError, UnexpectedAnswer
from ..prompts.answer import Answer
from ..prompts.mask_packing import unpack_mask
from ..prompts.planes import Plane
from .transport import Transport
from .uploads import Form, Report

SAME_VERSION = "Check that the server and this module are of the same version."


class Client(Transport):
    """The calls every panel makes: what the server offers, its images, uploads, inference.

    `campaign_calls` has those of a campaign. All raise one of the kinds of `ServerError`.
    """

    _report: Optional[Report] = None

    def info(self) -> Dict[str, Any]:
        """What the server offers: models, strategies, labels; MONAI Label's `/info/`."""
        return self._dict(self.json("GET", "/info/"), "models")

    def image_ids(self) -> List[str]:
        """The IDs of the campaign's images."""
        answer = self.json("GET", "/datastore/", params={"output": "all"})
        objects = self._dict(answer, "objects")["objects"]
        if not isinstance(objects, dict):
            raise UnexpectedAnswer(self.address, "its list of images cannot be read.", SAME_VERSION)
        return [str(image_id) for image_id in objects]

    def with_report(self, report: Report) -> Client:
        """A copy for one job that shares connections; `report` follows its downloads and can cancel them.

        `report` gets the fraction (0..1) received after each chunk; an exception ends the download.
        """
        client = copy.copy(self)
        client._report = report
        return client

    def download_image(self, image_id: str, file: Union[str, Path]) -> Path:
        """Save an image of the campaign as `file`, which appears only when it is complete.

        Returns:
            The file written; if `file` has no extension, that of the server's file is added.
        """
        return self.file("/datastore/image", Path(file), self._report, params={"image": image_id})

    def check_cancelled(self) -> None:
        """Raise what the report raises if the job was cancelled; requests without chunks never ask it."""
        if self._report is not None:
            self._report(1.0)

    def upload(self, content: bytes, report: Optional[Report] = None) -> str:
        """Send an image that is not in the campaign (NRRD); returns the session ID for `infer`.

        `report` gets the fraction (0..1) sent; an exception ends the upload.
        """
        form = Form(content, report)
        answer = self.json("PUT", "/session/", data=form, headers={"Content-Type": form.content_type})
        session_id = self._dict(answer, "session_id")["session_id"]
        if not isinstance(session_id, str) or not session_id:
            raise UnexpectedAnswer(self.address, "the upload got no session id.", SAME_VERSION)
        return session_id

    def infer(
        self,
        model: str,
        params: Mapping[str, Any],
        shape: Tuple[int, int],
        *,
        image_id: Optional[str] = None,
        session_id: Optional[str] = None,
        axis_kind: Optional[str] = None,
    ) -> Answer:
        """The mask that `model` predicts for the prompts `params` (`PromptSet.to_params`).

        Args:
            shape: (rows, columns) of the requested plane's picture.
            image_id: an image of the campaign, or
            session_id: an uploaded image.
            axis_kind: `still`, `cine` or `volume`, where the file does not say it: `cine` for the bytes of
                `export.content_bytes`, which the server would take for a volume.
        """
        if (image_id is None) == (session_id is None):
            raise ValueError("infer() needs either an image id or a session id; got both or neither.")
        requested = {**params, "result": "packed"}
        answer = self._post("infer", model, requested, image_id, session_id, axis_kind, output="json")
        return self._answer(answer, requested, shape)

    def prefetch(
        self,
        model: str,
        plane: Plane,
        *,
        image_id: Optional[str] = None,
        session_id: Optional[str] = None,
        axis_kind: Optional[str] = None,
    ) -> None:
        """Have the server encode a plane before the first click on it; the server answers at once."""
        self._post("prefetch", model, {"plane": plane.to_dict()}, image_id, session_id, axis_kind)

    def _post(
        self,
        route: str,
        model: str,
        params: Dict[str, Any],
        image_id: Optional[str],
        session_id: Optional[str],
        axis_kind: Optional[str],
        **query: str,
    ) -> Any:
        if axis_kind is not None:
            params = {**params, "axis_kind": axis_kind}
        form = {"params": json.dumps(params, separators=(",", ":"), allow_nan=False)}
        image = {"image": image_id} if image_id is not None else {"session_id": session_id}
        path = f"/{route}/{quote(model, safe='')}"
        return self.json("POST", path, params={**query, **image}, data=form)

    def _dict(self, answer: Any, key: str) -> Dict[str, Any]:
        if not isinstance(answer, dict) or key not in answer:
            raise UnexpectedAnswer(self.address, f"the answer has no `{key}`.", SAME_VERSION)
        return answer

    def _answer(self, answer: Any, requested: Mapping[str, Any], shape: Tuple[int, int]) -> Answer:
        answer = self._dict(answer, "bbox")
        try:
            mask = unpack_mask(answer["bbox"], answer.get("mask"), shape)
            plane = Plane.from_dict(answer["plane"]).to_dict() if answer.get("plane") is not None else None
        except (PackedMaskError, PromptsError) as error:
            raise UnexpectedAnswer(self.address, f"the mask cannot be used: {error}", SAME_VERSION) from None
        if plane is not None and plane != requested.get("plane", plane):
            raise UnexpectedAnswer(self.address, "the mask is of another plane than requested.", SAME_VERSION)
        timings, adapter = answer.get("timings"), answer.get("adapter")
        return Answer(
            mask=mask,
            score=_number(answer.get("score")),
            model=str(answer.get("model", "")),
            adapter=None if adapter is None else str(adapter),
            timings={
                str(stage): seconds
                for stage, seconds in (timings if isinstance(timings, dict) else {}).items()
                if _number(seconds) is not None
            },
        )


def _number(value: Any) -> Optional[float]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None
