from pydantic import Field

from chalicelib.wire import SessionId, Whole, Wire


class TokenRequest(Wire):
    session: SessionId = Field(examples=["50864896-8136-4a43-8a48-1d3325a7f78f"])
    platform: Whole = Field(0, ge=0, le=255, examples=[1])
