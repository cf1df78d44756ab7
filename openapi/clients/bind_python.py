"""A bind with the client that openapi-generator makes for Python; the folder that it is in is in PYTHONPATH."""

import openapi_client
from openapi_client.models import (
    BindMobileRequest,
    BindMobileRequestGender,
    EmptyEnvelope,
    ErrorEnvelope,
    SendVerificationCodeRequest,
    SessionTokenRequest,
    UserEnvelope,
)

from development import expect, installation, last_code, number, service

mobile, uuid = number(2), installation()
client = openapi_client.ApiClient(openapi_client.Configuration(host=service()))
binding, session = openapi_client.BindingApi(client), openapi_client.SessionApi(client)

sent = binding.send_verification_code(SendVerificationCodeRequest(mobile=mobile), uuid=uuid).actual_instance
expect(isinstance(sent, EmptyEnvelope), sent)

code = last_code(mobile)
wrong = "0000" if code != "0000" else "0001"
refused = binding.bind_mobile(BindMobileRequest(mobile=mobile, verify=wrong), uuid=uuid).actual_instance
expect(isinstance(refused, ErrorEnvelope) and refused.code == -11, refused)

request = BindMobileRequest(
    mobile=mobile, verify=code, nickname="qqqqqq", gender=BindMobileRequestGender("0"), weixin_openid="openid-of-python"
)
bound = binding.bind_mobile(request, application_client_type="weixin", uuid=uuid).actual_instance
expect(isinstance(bound, UserEnvelope) and bound.data.mobile == mobile and bound.data.nickname == "qqqqqq", bound)

found = session.get_token_user(session_token_request=SessionTokenRequest(token=bound.data.token)).actual_instance
expect(isinstance(found, UserEnvelope) and found.data.id == bound.data.id, found)
ended = session.log_out(session_token_request=SessionTokenRequest(token=bound.data.token)).actual_instance
expect(isinstance(ended, EmptyEnvelope), ended)
print(f"openapi-generator, Python: {bound.data.mobile_security} is bound")
