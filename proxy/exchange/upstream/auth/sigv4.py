"""AWS Signature Version 4, by botocore: the signature covers method, address, headers and body."""

from functools import lru_cache
from typing import Any

from proxy.exchange.upstream.auth.types import Credentials, Outgoing

SERVICE = "bedrock"


def headers(credentials: Credentials, outgoing: Outgoing) -> list[tuple[str, str]]:
    """`authorization`, `x-amz-date` and, for temporary credentials, `x-amz-security-token`.

    Raises:
        LookupError: nobody has credentials: neither the configuration nor botocore's usual chain.
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(
        method=outgoing.method, url=outgoing.url, data=outgoing.body, headers=dict(outgoing.headers)
    )
    SigV4Auth(_keys(credentials), SERVICE, credentials.region).add_auth(request)
    given = {name.lower() for name, _ in outgoing.headers}
    return [(name.lower(), value) for name, value in request.headers.items() if name.lower() not in given]


def _keys(credentials: Credentials) -> Any:
    from botocore.credentials import Credentials as Keys
    from botocore.exceptions import BotoCoreError

    if credentials.access_key_id is not None:
        return Keys(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    chain = _chain()
    if chain is None:
        raise LookupError("no AWS credentials: configure access_key_id and secret_access_key")
    try:
        return chain.get_frozen_credentials()
    except BotoCoreError as problem:  # they have run out, and where they came from does not answer
        raise LookupError("the AWS credentials of this machine cannot be renewed") from problem


@lru_cache(1)
def _chain() -> Any:
    """Environment, shared files, container and instance: wherever AWS' own tools look. Asked once."""
    from botocore.session import Session

    return Session().get_credentials()
