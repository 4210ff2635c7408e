"""The hubs: what becomes of a link and of a message, by the hub's name."""

import socket
import struct

from proton import Condition, Delivery, Link, Message

from sections import sections

MARKER = b"swallow-me-not"
STANDARD_LIMIT = 1 << 20
BASIC_LIMIT = 256 << 10
BATCH = 0x75  # descriptor of a data section: a batch holds a message in each
PARTITION_KEY = "x-opt-partition-key"

# Hubs whose link is refused, with the reason.
CLOSED = {
    "missing": ("amqp:not-found", "The messaging entity could not be found. It may be in another namespace."),
    "disabled": ("com.microsoft:entity-disabled", "Messaging entity is currently disabled."),
    "no-claim": ("amqp:unauthorized-access", "Unauthorized access. 'Send' claim(s) are required to perform this operation."),
}

# Hubs that refuse every message, with the reason.
REFUSING = {
    "busy": ("com.microsoft:server-busy", "The request was terminated because the entity is being throttled. Error code: 50002."),
    "timeout": ("com.microsoft:timeout", "The operation did not complete within the allotted time."),
    "cancelled": ("com.microsoft:operation-cancelled", "The operation was cancelled."),
    "internal": ("amqp:internal-error", "The service was unable to process the request."),
    "full": ("amqp:resource-limit-exceeded", "The quota of the entity is used up."),
    "forbidden": ("amqp:not-allowed", "Publishing is not allowed here."),
    "out-of-range": ("com.microsoft:argument-out-of-range", "The specified partition is invalid."),
    "walled": ("amqp:unauthorized-access", "Public access is disabled: use the private endpoint."),
    "strange": ("com.example:unheard-of", "Nobody knows this one."),
    "refusing": ("com.microsoft:argument-error", "The content is refused."),
}


def cut(connection):
    """Resets the TCP connection without a word of AMQP."""
    transport = connection.transport
    selectable = getattr(transport, "_selectable", None) if transport else None
    if selectable is None:
        return
    selectable._delegate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.close_tail()
    transport.close_head()
    selectable.terminate()
    selectable.update()


class Hubs:
    def __init__(self, claims, report):
        self.claims = claims
        self.report = report
        self.counts = {}  # events of each hub
        self.waiting = {}  # message number -> (link, delivery, events) that an answer is due for
        self.number = 0

    def attach(self, link, hub):
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        if hub == "mute":
            return
        rights, _ = self.claims.rights(link.connection, hub)
        refused = CLOSED.get(hub)
        if "send" not in rights:
            refused = CLOSED["no-claim"]
        if refused:
            link.target.type = 0  # an attach that is followed by a detach has no target
            link.open()
            link.condition = Condition(*refused)
            link.close()
            return
        if hub != "nolimit":
            link.max_message_size = BASIC_LIMIT if hub == "small" else STANDARD_LIMIT
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = Link.RCV_FIRST
        link.open()
        link.flow(200)

    def detach(self, connections):
        for connection in connections:
            link = connection.link_head(0)
            while link is not None:
                if link.is_receiver and link.state & link.LOCAL_ACTIVE:
                    self.close_link(link)
                link = link.next(0)

    def close_link(self, link):
        link.condition = Condition("amqp:link:detach-forced", "The link is force detached: no messages in 10 minutes.")
        link.close()

    def take(self, link, delivery, raw):
        hub = link.remote_target.address
        if hub.startswith("count"):
            events = sum(1 for code, _ in sections(raw) if code == BATCH)
            self.counts[hub] = self.counts.get(hub, 0) + events
            return self.settle(delivery, Delivery.ACCEPTED)
        self.number += 1
        key, events = read_batch(raw)
        scripted = link.connection._acceptor.scripted
        self.report(event="message", id=link.connection._acceptor.listener, message=self.number, hub=hub, key=key,
                    size=len(raw), events=events, ask=scripted)
        if scripted:
            self.waiting[self.number] = (link, delivery, events)
            return
        self.behave(hub, link, delivery, events, raw)

    def answer(self, number, act, words):
        link, delivery, events = self.waiting.pop(number)
        if delivery.link is None or not link.connection.transport:
            return  # the peer is gone
        hub = link.remote_target.address
        if act == "accept":
            self.store(hub, events)
            self.settle(delivery, Delivery.ACCEPTED)
        elif act == "refuse":
            self.refuse(delivery, "com.microsoft:argument-error", words or "The content is refused.")
        elif act == "busy":
            self.refuse(delivery, *REFUSING["busy"])
        elif act == "store-and-cut":
            self.store(hub, events)
            cut(link.connection)
        elif act == "cut":
            cut(link.connection)
        elif act == "store-and-garbage":
            self.store(hub, events)
            self.garbage(link)
        elif act != "hang":
            raise ValueError(act)

    def behave(self, hub, link, delivery, events, raw):
        if hub in REFUSING:
            return self.refuse(delivery, *REFUSING[hub])
        if hub == "late":
            self.store(hub, events)
            return cut(link.connection)
        if hub == "early":
            return cut(link.connection)
        if hub == "forced":
            link.connection.condition = Condition("amqp:connection:forced", "The connection was inactive for too long.")
            return link.connection.close()
        if hub == "detaching":
            return self.close_link(link)
        if hub == "hang":
            return None
        if hub == "garbage":
            return self.garbage(link)
        if hub == "released":
            return self.settle(delivery, Delivery.RELEASED)
        if hub == "modified":
            return self.settle(delivery, Delivery.MODIFIED)
        if hub == "shrinking" and len(raw) > 100_000:
            return self.refuse(delivery, "amqp:link:message-size-exceeded", "The message is larger than is allowed.")
        if hub == "echo":
            _, token = self.claims.rights(link.connection, hub)
            return self.refuse(delivery, "amqp:not-allowed", "not with " + token)
        if hub == "reject-one" and MARKER in raw:
            return self.refuse(delivery, "com.microsoft:argument-error", "I do not\r\nlike this event.")
        self.store(hub, events)
        return self.settle(delivery, Delivery.ACCEPTED)

    def store(self, hub, events):
        self.counts[hub] = self.counts.get(hub, 0) + len(events)
        self.report(event="stored", hub=hub, message=self.number, ids=[e["id"] for e in events])

    def settle(self, delivery, state):
        delivery.update(state)
        delivery.settle()

    def refuse(self, delivery, name, words):
        delivery.local.condition = Condition(name, words)
        self.settle(delivery, Delivery.REJECTED)

    def garbage(self, link):
        """Announces a frame of nearly 2 GiB."""
        link.connection.transport._selectable._delegate.send(b"\x7f\xff\xff\xff\x02\x00\x00\x00\x00")


def read_batch(raw):
    """Returns the partition key and the events of a batch."""
    envelope = Message()
    key, events = None, []
    for code, value in sections(raw):
        if code == 0x72:
            key = value.get(PARTITION_KEY)
        if code != BATCH:
            continue
        envelope.clear()
        envelope.decode(bytes(value))
        events.append({
            "id": envelope.id,
            "content_type": envelope.content_type,
            "key": (envelope.annotations or {}).get(PARTITION_KEY),
            "properties": envelope.properties,
            "body": bytes(envelope.body).decode(),
        })
    return key, events
