"""Sends one message through a vendor's own SDK to a fake of the vendor.

Usage: send.py KIND HOST:PORT, with the message as JSON on standard input. Prints what the SDK made of the answer, as JSON.
"""

import datetime
import json
import sys


def aliyun(host, message):
    from alibabacloud_dysmsapi20170525.client import Client
    from alibabacloud_dysmsapi20170525.models import SendSmsRequest
    from alibabacloud_tea_openapi.models import Config

    client = Client(
        Config(
            access_key_id=message["account"],
            access_key_secret=message["secret"],
            endpoint=host,
            protocol="http",
        )
    )
    answer = client.send_sms(
        SendSmsRequest(
            phone_numbers=message["national"],
            sign_name=message["from"],
            template_code=message["template"],
            template_param=message["template_param"],
        )
    )
    return {"code": answer.body.code, "id": answer.body.biz_id}


def tencent(host, message):
    from tencentcloud.common.credential import Credential
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile
    from tencentcloud.sms.v20210111.models import SendSmsRequest
    from tencentcloud.sms.v20210111.sms_client import SmsClient

    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=host))
    client = SmsClient(Credential(message["account"], message["secret"]), message["region"], profile)
    request = SendSmsRequest()
    request.PhoneNumberSet = [message["international"]]
    request.SmsSdkAppId = message["app_id"]
    request.SignName = message["from"]
    request.TemplateId = message["template"]
    request.TemplateParamSet = message["template_param_set"]
    status = client.SendSms(request).SendStatusSet[0]
    return {"code": status.Code, "id": status.SerialNo}


def twilio(host, message):
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    class ToFake(TwilioHttpClient):
        def request(self, method, url, *args, **kwargs):
            return super().request(method, url.replace("https://api.twilio.com", "http://" + host), *args, **kwargs)

    client = Client(message["account"], message["secret"], http_client=ToFake())
    answer = client.messages.create(to=message["international"], from_=message["from"], body=message["text"])
    return {"code": answer.status, "id": answer.sid}


def webhook(host, message):
    import urllib.request

    from standardwebhooks.webhooks import Webhook

    body = message["body"]
    at = datetime.datetime.fromtimestamp(message["timestamp"], tz=datetime.timezone.utc)
    headers = {
        "content-type": "application/json",
        "webhook-id": message["id"],
        "webhook-timestamp": str(message["timestamp"]),
        "webhook-signature": Webhook(message["secret"]).sign(msg_id=message["id"], timestamp=at, data=body),
    }
    request = urllib.request.Request("http://" + host + "/", data=body.encode(), headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return {"code": str(answer.status), "id": json.load(answer)["id"]}


SENDERS = {"aliyun": aliyun, "tencent": tencent, "twilio": twilio, "webhook": webhook}

if __name__ == "__main__":
    print(json.dumps(SENDERS[sys.argv[1]](sys.argv[2], json.load(sys.stdin))))
