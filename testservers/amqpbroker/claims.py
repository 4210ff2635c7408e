"""The $cbs node: tokens that peers put before they open a link."""

import base64
import hashlib
import hmac
import time
from urllib.parse import parse_qsl, unquote

from proton import Message, int32

PREFIX = "SharedAccessSignature "


class Refused(Exception):
    """A token that is not good, with the status for the answer."""

    def __init__(self, status, words):
        super().__init__(words)
        self.status = status


def audience_path(audience):
    """Returns what lies behind the host: the hub."""
    return audience.split("://", 1)[-1].partition("/")[2]


class Claims:
    def __init__(self):
        self.keys = {}  # name -> (key, rights)
        self.granted = {}  # connection -> {hub: (rights, token)}
        self.replies = {}  # connection -> links to the peer

    def set_key(self, name, key, rights):
        self.keys[name] = (key.encode(), set(rights))

    def rights(self, connection, hub):
        """Returns the rights of a connection at a hub and the token they came with."""
        return self.granted.get(connection, {}).get(hub.lower(), (set(), ""))

    def attach(self, link):
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        link.open()
        if link.is_receiver:
            link.flow(10)
        else:
            self.replies.setdefault(link.connection, []).append(link)

    def forget(self, connection):
        self.granted.pop(connection, None)
        self.replies.pop(connection, None)

    def put_token(self, link, raw):
        request = Message()
        request.decode(raw)
        try:
            self.grant(link.connection, request.properties, request.body)
            status, words = 202, "Accepted"
        except Refused as refused:
            status, words = refused.status, str(refused)
        answer = Message(correlation_id=request.id)
        answer.properties = {"status-code": int32(status), "status-description": words}
        for sender in self.replies.get(link.connection, []):
            if sender.session == link.session:
                sender.delivery("answer-%s" % request.id)
                sender.send(answer.encode())
                sender.advance()

    def grant(self, connection, properties, token):
        if properties.get("operation") != "put-token" or properties.get("type") != "servicebus.windows.net:sastoken":
            raise Refused(400, "a put-token of a SAS token was expected")
        audience = properties.get("name", "")
        hub = audience_path(audience)
        if connection._acceptor.refuse:
            raise Refused(401, "refused: " + token)
        if hub == "barred":
            raise Refused(401, "Ip has been prevented to connect to the endpoint.")
        if hub == "nowhere":
            raise Refused(404, "The messaging entity '%s' could not be found." % audience)
        if hub == "claims-busy":
            raise Refused(503, "The service was unable to process the request; please retry the operation.")
        rights = self.verify(audience, token)
        self.granted.setdefault(connection, {})[hub.lower()] = (rights, token)

    def verify(self, audience, token):
        if not token.startswith(PREFIX):
            raise Refused(401, "MalformedToken: not a SAS token")
        parts = dict(parse_qsl(token[len(PREFIX):], keep_blank_values=True))
        raw = dict(part.partition("=")[::2] for part in token[len(PREFIX):].split("&"))
        if set(parts) != {"sr", "sig", "se", "skn"}:
            raise Refused(401, "MalformedToken: sr, sig, se and skn were expected")
        key, rights = self.keys.get(parts["skn"], (None, None))
        if key is None:
            raise Refused(401, "InvalidSignature: there is no key of this name")
        signed = ("%s\n%s" % (raw["sr"], parts["se"])).encode()
        want = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(want, unquote(raw["sig"])):
            raise Refused(401, "InvalidSignature: The token has an invalid signature.")
        if int(parts["se"]) <= time.time():
            raise Refused(401, "ExpiredToken: The token is expired.")
        scope, asked = parts["sr"].lower().rstrip("/"), audience.lower().rstrip("/")
        scope, asked = scope.split("://", 1)[-1], asked.split("://", 1)[-1]
        if asked != scope and not asked.startswith(scope + "/"):
            raise Refused(401, "InvalidAudience: the token is for %s" % scope)
        return rights
