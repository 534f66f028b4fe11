"""Notes of tenants under quotas in FastAPI, with changes streamed to browsers.

`pip install fastapi uvicorn`, then `uvicorn fastapi_app:app` in this folder.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Annotated

from fastapi import Body, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse

import groupstore

NOTES = "notes"
SSE = "text/event-stream"
QUOTA = groupstore.Quota(max_keys=100, max_groups=5)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    path = os.environ.get("GROUPSTORE_PATH", "fastapi.db")
    with groupstore.Store(path, durability="normal") as store:
        app.state.store = store
        yield


app = FastAPI(lifespan=lifespan)


def tenant_of(tenant: str, request: Request) -> groupstore.ScopedStore:
    """The tenant's part of the store. A real application takes the tenant from a login."""
    try:
        return request.app.state.store.scoped(tenant, QUOTA)
    except groupstore.ConfigError as error:
        raise HTTPException(404, str(error)) from None


Tenant = Annotated[groupstore.ScopedStore, Depends(tenant_of)]


@app.exception_handler(groupstore.QuotaExceededError)
async def quota_exceeded(request: Request, error: groupstore.QuotaExceededError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 507)


# `def`, not `async def`: FastAPI runs these in threads, where waiting for the disk holds up no
# other request.


@app.put("/{tenant}/notes/{name}", status_code=204)
def put_note(tenant: Tenant, name: str, text: Annotated[str, Body()]) -> None:
    tenant.set(NOTES, name, text)


@app.get("/{tenant}/notes/{name}")
def get_note(tenant: Tenant, name: str) -> str:
    try:
        return tenant.get(NOTES, name)
    except groupstore.NotFoundError:
        raise HTTPException(404) from None


@app.get("/{tenant}/notes")
def list_notes(tenant: Tenant, prefix: str = "", after: str = "", limit: int = 20) -> list[str]:
    # Past `after`, which is the last name of the page before, whatever was written meanwhile.
    notes = tenant.keys(NOTES, prefix=prefix, start=f"{after}\0" if after else None)
    return list(islice(notes, limit))


@app.get("/{tenant}/changes")
async def changes(tenant: Tenant) -> StreamingResponse:
    # Made before the answer begins, so that nothing is missed; closed when the client leaves.
    return StreamingResponse(events_of(tenant.watch(NOTES, capacity=1000)), media_type=SSE)


async def events_of(watcher: groupstore.Watcher) -> AsyncIterator[str]:
    with watcher:
        async for event in watcher:
            yield f"data: {json.dumps({'type': str(event.type), 'name': event.key})}\n\n"
