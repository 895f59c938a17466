"""The client of a UniUltra server (a MONAI Label server that can also answer with a packed mask).

Needs numpy and requests only; calls block, so the panel makes them in a worker thread. Nothing is logged.
"""

from __future__ import annotations

import copy
import io
import json
import math
import threading
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union
from urllib.parse import quote

from ..errors import PackedMaskError, PromptsError, Refused, UnexpectedAnswer
from ..prompts.answer import Answer
from ..prompts.mask_packing import unpack_mask
from ..prompts.planes import Plane
from .transport import Transport
from .uploads import Form, Report, Source, ending_of, hash_of

_SAME_VERSION = "Check that the server and this module are of the same version."


class Client:
    """Talks to the server at `address`; cheap to make, connects at the first call.

    Args:
        address: `http://host:port`, or `host:port`.
        api_key: sent as a bearer token; over https or to this machine only.
        timeout: seconds to connect, seconds to wait for an answer.
        ca_file: certificates to trust in place of the usual ones; TLS is always verified.
        max_json: largest JSON answer taken, bytes.
        max_file: largest download taken, bytes.

    Attributes:
        transport: sends the requests; the calls of `campaign_calls` go through it too.

    Raises:
        ValueError: the address cannot be one, or a key would travel unencrypted.
    """

    def __init__(
        self,
        address: str,
        *,
        api_key: Optional[str] = None,
        timeout: Tuple[float, float] = (5.0, 60.0),
        ca_file: Optional[str] = None,
        max_json: int = 64 * 1024 * 1024,
        max_file: int = 4 * 1024 * 1024 * 1024,
    ) -> None:
        self.transport = Transport(address, api_key, timeout, ca_file, max_json, max_file)
        self._report: Optional[Report] = None
        self._lock = threading.Lock()
        self._sessions: Dict[str, str] = {}  # content hash -> session id the server knows
        self._hashes: Dict[str, str] = {}  # any session id ever given -> content hash
        self._sources: Dict[str, Source] = {}  # content hash -> what to upload again

    @property
    def address(self) -> str:
        """The server's address, without a name or password."""
        return self.transport.address

    def close(self) -> None:
        """Close the kept connections."""
        self.transport.close()

    def info(self) -> Dict[str, Any]:
        """What the server offers: models, strategies, labels; MONAI Label's `/info/`."""
        return self._dict(self.transport.json("GET", "/info/"), "models")

    def image_ids(self) -> List[str]:
        """The ids of the campaign's images."""
        answer = self.transport.json("GET", "/datastore/", params={"output": "all"})
        objects = self._dict(answer, "objects")["objects"]
        if not isinstance(objects, dict):
            raise UnexpectedAnswer(self.address, "its list of images is not one.", _SAME_VERSION)
        return [str(image_id) for image_id in objects]

    def next_sample(self, strategy: str, **params: Any) -> Optional[Dict[str, Any]]:
        """The next image to work on, a dict with its `id`; None when the campaign has no more."""
        answer = self.transport.json("POST", f"/activelearning/{quote(strategy, safe='')}", json=params)
        return self._dict(answer, "id") if answer else None

    def with_report(self, report: Report) -> Client:
        """This client, with the same connections and sessions, for a job whose downloads may be cancelled.

        `report` gets the share (0..1) received after each chunk; what it raises ends the download.
        """
        client = copy.copy(self)
        client._report = report
        return client

    def download_image(self, image_id: str, file: Union[str, Path]) -> Path:
        """Save an image of the campaign as `file`; without an ending, it gets that of the server's file.

        Returns:
            The file written. It appears only once it is whole.
        """
        return self.transport.file("/datastore/image", Path(file), self._report, params={"image": image_id})

    def upload(self, image: Source, report: Optional[Report] = None) -> str:
        """Send an image of the person's own, once per content; returns the session id for `infer`.

        Only the ending of a path is sent, never its name. The client keeps `image` to send it again when
        the session expires; `forget` releases it. `report` gets the share (0..1) that was sent; what it
        raises ends the upload.
        """
        content = hash_of(image)
        with self._lock:
            session_id = self._sessions.get(content)
        return session_id or self._send(content, image, report)

    def forget(self, session_id: str) -> None:
        """Release an uploaded image; it is not sent again."""
        with self._lock:
            content = self._hashes.pop(session_id, None)
            if content is not None:
                self._sessions.pop(content, None)
                self._sources.pop(content, None)

    def infer(
        self,
        model: str,
        params: Mapping[str, Any],
        shape: Tuple[int, int],
        *,
        image_id: Optional[str] = None,
        session_id: Optional[str] = None,
        axis_kind: Optional[str] = None,
        report: Optional[Report] = None,
    ) -> Answer:
        """Ask `model` for the mask that the prompts `params` describe (`PromptSet.to_params`).

        Args:
            shape: (rows, columns) of the requested plane's picture.
            image_id: an image of the campaign, or
            session_id: one that was uploaded; sent again, once, if its session has expired.
            axis_kind: `still`, `cine` or `volume`, where the file does not say it: `cine` for what
                `export.content_bytes` made, which the server would take for a volume.
            report: as for `upload`, if it has to be sent again.

        Raises:
            ServerError: one of its kinds, see `errors`.
        """
        if (image_id is None) == (session_id is None):
            raise ValueError("infer() wants an image id or a session id; got both or neither.")
        requested = dict(params, result="packed")
        if axis_kind is not None:
            requested["axis_kind"] = axis_kind
        try:
            answer = self._ask(model, requested, image_id, session_id)
        except Refused as refused:
            source = self._expired(session_id, refused)
            if source is None:
                raise
            self._send(*source, report)
            answer = self._ask(model, requested, image_id, session_id)
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
        """Have the server encode a plane before the first click on it; it answers at once.

        Raises:
            ServerError: one of its kinds; a session that has expired is not uploaded for this.
        """
        params: Dict[str, Any] = {"plane": plane.to_dict()}
        if axis_kind is not None:
            params["axis_kind"] = axis_kind
        self._ask(model, params, image_id, session_id, route="prefetch")

    def _ask(
        self,
        model: str,
        params: Any,
        image_id: Optional[str],
        session_id: Optional[str],
        route: str = "infer",
    ) -> Any:
        query = {"output": "json"} if route == "infer" else {}
        if image_id is not None:
            query["image"] = image_id
        else:
            with self._lock:
                query["session_id"] = self._sessions.get(
                    self._hashes.get(str(session_id), ""), str(session_id)
                )
        form = {"params": json.dumps(params, separators=(",", ":"), allow_nan=False)}
        return self.transport.json("POST", f"/{route}/{quote(model, safe='')}", params=query, data=form)

    def _expired(self, session_id: Optional[str], refused: Refused) -> Optional[Tuple[str, Source]]:
        """What to upload again when `refused` says that the session is gone; else None."""
        if session_id is None or refused.status != 404:
            return None
        with self._lock:
            content = self._hashes.get(session_id, "")
            source = self._sources.get(content)
        return None if source is None else (content, source)

    def _send(self, content: str, image: Source, report: Optional[Report] = None) -> str:
        name = content[:16] + ending_of(image)
        with io.BytesIO(image) if isinstance(image, bytes) else Path(image).open("rb") as stream:
            form = Form(name, stream, report)
            headers = {"Content-Type": form.content_type}
            put = self.transport.json("PUT", "/session/", data=form, headers=headers)
        answer = self._dict(put, "session_id")
        session_id = answer["session_id"]
        if not isinstance(session_id, str) or not session_id:
            raise UnexpectedAnswer(self.address, "the upload got no session id.", _SAME_VERSION)
        with self._lock:
            self._sessions[content] = session_id
            self._hashes[session_id] = content
            self._sources[content] = image
        return session_id

    def _dict(self, answer: Any, key: str) -> Dict[str, Any]:
        if not isinstance(answer, dict) or key not in answer:
            raise UnexpectedAnswer(self.address, f"the answer has no `{key}`.", _SAME_VERSION)
        return answer

    def _answer(self, answer: Any, requested: Mapping[str, Any], shape: Tuple[int, int]) -> Answer:
        answer = self._dict(answer, "bbox")
        try:
            mask = unpack_mask(answer["bbox"], answer.get("mask"), shape)
            plane = Plane.from_dict(answer["plane"]) if answer.get("plane") is not None else None
        except (PackedMaskError, PromptsError) as error:
            raise UnexpectedAnswer(self.address, f"the mask cannot be used: {error}", _SAME_VERSION) from None
        if plane is not None and "plane" in requested and plane.to_dict() != requested["plane"]:
            raise UnexpectedAnswer(
                self.address, "the mask is of another plane than requested.", _SAME_VERSION
            )
        frame, timings, adapter = answer.get("frame"), answer.get("timings"), answer.get("adapter")
        return Answer(
            mask=mask,
            bbox=answer["bbox"],
            frame=frame if type(frame) is int else None,
            plane=plane,
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
