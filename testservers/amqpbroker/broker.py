#!/usr/bin/python3
"""A small AMQP 1.0 broker that looks like Azure Event Hubs to a sender.

Peers log in with SASL ANONYMOUS, put a token to $cbs (claims.py) and open a
link to a hub. A hub takes batches, keeps their events in order of arrival, and
misbehaves as its name says (hubs.py).

Commands come as lines of JSON on standard input, reports go as lines of JSON to
standard output; README.md lists both. The broker ends when its input ends.
"""

import json
import os
import sys
import threading

from proton import SSLDomain
from proton.handlers import Handshaker
from proton.reactor import ApplicationEvent, Container, EventInjector

from claims import Claims
from hubs import Hubs, cut

OUTCOME_WINDOW = 200


def report(**line):
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


class Broker:
    """Dispatches proton's events and the commands of the line protocol."""

    def __init__(self):
        self.claims = Claims()
        self.hubs = Hubs(self.claims, report)
        self.connections = {}  # of each listener
        self.acceptors = {}

    def on_reactor_init(self, event):
        self.container = event.container
        self.injector = EventInjector()
        self.container.selectable(self.injector)
        threading.Thread(target=self.read_commands, daemon=True).start()
        report(event="ready")

    def read_commands(self):
        for line in sys.stdin:
            self.injector.trigger(ApplicationEvent("command", subject=json.loads(line)))
        os._exit(0)

    def on_command(self, event):
        line = event.subject
        getattr(self, "do_" + line["do"])(line)

    def do_listen(self, line):
        domain = None
        if line.get("certificate"):
            domain = SSLDomain(SSLDomain.MODE_SERVER)
            domain.set_credentials(line["certificate"], line["key"], None)
        acceptor = self.container.listen("127.0.0.1:0", ssl_domain=domain)
        acceptor.listener = line["id"]
        acceptor.scripted = line.get("scripted", False)
        acceptor.refuse = line.get("refuse", False)
        self.acceptors[line["id"]] = acceptor
        self.connections[line["id"]] = set()
        report(event="listening", id=line["id"], port=acceptor._selectable._delegate.getsockname()[1])

    def do_close(self, line):
        """Ends a listener and resets its connections."""
        self.acceptors.pop(line["id"]).close()
        for connection in self.connections.pop(line["id"]):
            cut(connection)

    def do_drop(self, line):
        """Resets the connections of a listener, which goes on listening."""
        for connection in list(self.connections[line["id"]]):
            cut(connection)
        report(event="done", id=line["id"])

    def do_detach(self, line):
        """Detaches the sender links of a listener, as idle ones are."""
        self.hubs.detach(self.connections[line["id"]])
        report(event="done", id=line["id"])

    def do_key(self, line):
        self.claims.set_key(line["name"], line["key"], line.get("rights", ["send"]))

    def do_answer(self, line):
        self.hubs.answer(line["message"], line["act"], line.get("words", ""))

    def do_count(self, line):
        report(event="count", hub=line["hub"], events=self.hubs.counts.get(line["hub"], 0))

    # Connections.

    def on_connection_bound(self, event):
        event.transport.sasl().allowed_mechs("ANONYMOUS")

    def on_connection_remote_open(self, event):
        connection = event.connection
        listener = connection._acceptor.listener
        if listener in self.connections:
            self.connections[listener].add(connection)
        connection.container = "amqpbroker"
        connection.open()
        report(event="connection", id=listener)

    def on_transport_closed(self, event):
        connection = event.connection
        if connection is None:
            return
        self.connections.get(connection._acceptor.listener, set()).discard(connection)
        self.claims.forget(connection)
        connection.free()

    def on_session_remote_open(self, event):
        event.session.incoming_capacity = 4 << 20
        event.session.open()

    # Links and messages.

    def on_link_remote_open(self, event):
        link = event.link
        address = (link.remote_target if link.is_receiver else link.remote_source).address
        if address == "$cbs":
            self.claims.attach(link)
        else:
            self.hubs.attach(link, address)

    def on_delivery(self, event):
        delivery, link = event.delivery, event.link
        if not link.is_receiver or not delivery.readable or delivery.partial:
            return
        raw = link.recv(delivery.pending)
        link.advance()
        if link.credit < OUTCOME_WINDOW // 2:
            link.flow(OUTCOME_WINDOW - link.credit)
        if link.remote_target.address == "$cbs":
            delivery.update(delivery.ACCEPTED)
            delivery.settle()
            self.claims.put_token(link, raw)
        else:
            self.hubs.take(link, delivery, raw)


class Ending(Handshaker):
    """Closes what the peer closes; Broker decides about what it opens."""

    on_connection_remote_open = on_session_remote_open = on_link_remote_open = staticmethod(lambda event: None)


if __name__ == "__main__":
    container = Container(Broker())
    container.handler.add(Ending())
    container.run()
