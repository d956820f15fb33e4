"""What is written about uploads, over the API. Bytes come by tus, at /uploads/."""

from __future__ import annotations

from flask_smorest import Blueprint

from server import access, words
from server.api.shapes import UploadShape
from server.operations import uploads as operations
from server.operations.outcome import Trouble
from server.uploadschemas import UploadWords
from store import database, uploads
from store.models import Upload

blueprint = Blueprint("api-uploads", __name__, description="Uploads: recordings made offline; bytes come by tus")


@blueprint.get("/uploads")
@access.signed_in
@blueprint.response(200, UploadShape(many=True))
def uploads_list() -> list[dict]:
    """List uploads that you may manage, unfinished ones first."""
    return [dressed(row) for row in uploads.listed(access.current_actor())]


@blueprint.get("/uploads/<upload_id>")
@access.signed_in
@blueprint.response(200, UploadShape)
def upload(upload_id: str) -> dict:
    """Return one upload with how far it is."""
    return dressed(operations.managed(upload_id, access.current_actor()))


@blueprint.patch("/uploads/<upload_id>")
@access.signed_in
@blueprint.arguments(UploadWords(partial=True))
@blueprint.response(200, UploadShape)
def describe(data: dict, upload_id: str) -> dict:
    """Change what is written about a file, at any time until a recording was made of it."""
    actor = access.current_actor()
    changed = operations.describe(operations.managed(upload_id, actor), data, actor, database.utc_now())
    if isinstance(changed, Trouble):
        raise changed.problem()
    return dressed(changed)


@blueprint.post("/uploads/<upload_id>/retry")
@access.signed_in
@blueprint.response(202, UploadShape)
def retry(upload_id: str) -> dict:
    """Have a refused file looked at again."""
    operations.try_again(operations.managed(upload_id, access.current_actor()), database.utc_now())
    return dressed(operations.managed(upload_id, access.current_actor()))


def dressed(row: Upload) -> dict:
    """Return an upload as the API shows it."""
    names = [name for name in UploadShape().fields if name not in ("url", "offset", "reason")]
    facts = {name: getattr(row, name) for name in names}
    reason = words.reason(row.failure) if row.failure else ""
    return facts | {"url": f"/uploads/{row.id}", "offset": operations.offset(row), "reason": reason}
