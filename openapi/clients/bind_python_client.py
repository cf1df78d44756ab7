"""A bind with the client that openapi-python-client makes; the folder that it is in is in PYTHONPATH."""

from mobile_bind_client import Client
from mobile_bind_client.api.binding import bind_mobile, send_verification_code
from mobile_bind_client.api.session import get_token_user, log_out
from mobile_bind_client.models import BindMobileApplicationClientType as ClientType
from mobile_bind_client.models import (
    BindMobileRequest,
    EmptyEnvelope,
    ErrorEnvelope,
    SendVerificationCodeRequest,
    SessionTokenRequest,
    UserEnvelope,
)

from development import expect, installation, last_code, number, service

mobile, uuid = number(1), installation()
client = Client(base_url=service())

sent = send_verification_code.sync(client=client, uuid=uuid, body=SendVerificationCodeRequest(mobile=mobile))
expect(isinstance(sent, EmptyEnvelope), sent)

code = last_code(mobile)
wrong = "0000" if code != "0000" else "0001"
refused = bind_mobile.sync(client=client, uuid=uuid, body=BindMobileRequest(mobile=mobile, verify=wrong))
expect(isinstance(refused, ErrorEnvelope) and refused.code == -11, refused)

request = BindMobileRequest(
    mobile=mobile, verify=code, nickname="qqqqqq", gender="0", referrer=0, weixin_openid="openid-of-python-client"
)
bound = bind_mobile.sync(client=client, uuid=uuid, application_client_type=ClientType.WEIXIN, body=request)
expect(isinstance(bound, UserEnvelope) and bound.data.mobile == mobile and bound.data.nickname == "qqqqqq", bound)

found = get_token_user.sync(client=client, body=SessionTokenRequest(token=bound.data.token))
expect(isinstance(found, UserEnvelope) and found.data.id == bound.data.id, found)
ended = log_out.sync(client=client, body=SessionTokenRequest(token=bound.data.token))
expect(isinstance(ended, EmptyEnvelope), ended)
print(f"openapi-python-client: {bound.data.mobile_security} is bound")
