"""Drives the client of nacos-sdk-python that speaks HTTP for the end-to-end
suite."""

import os

from nacos import NacosClient
from nacos.listener import Event, SubscribeListener

import wire

BEAT_SECONDS = 5
POLL_SECONDS = 1  # how often a subscription of this client asks


def instance(i):
    return {
        "ip": i["ip"], "port": i["port"], "weight": i["weight"], "cluster": i["clusterName"],
        "metadata": i["metadata"],
    }


class Client:
    def connect(self, c):
        self.client = NacosClient(c["server"], logDir=os.path.join(c["dir"], "log"))
        self.client.set_options(
            no_snapshot=True,
            snapshot_base=os.path.join(c["dir"], "snapshot"),
            failover_base=os.path.join(c["dir"], "failover"),
        )
        return {}

    def publish(self, c):
        return {"ok": self.client.publish_config(c["data_id"], c["group"], c["content"])}

    def get(self, c):
        return {"content": self.client.get_config(c["data_id"], c["group"])}

    def remove(self, c):
        return {"ok": self.client.remove_config(c["data_id"], c["group"])}

    def listen(self, c):
        def told(params):
            wire.write({**wire.event("config", c), "content": params["content"]})

        self.client.add_config_watcher(c["data_id"], c["group"], told)
        return {}

    def register(self, c):
        i = c["instance"]
        ok = self.client.add_naming_instance(
            c["service"], i["ip"], i["port"], cluster_name=i["cluster"],  # left out, it registers in "None"
            weight=i["weight"], metadata=i["metadata"], group_name=c["group"], heartbeat_interval=BEAT_SECONDS)
        return {"ok": ok}

    def deregister(self, c):
        i = c["instance"]
        ok = self.client.remove_naming_instance(
            c["service"], i["ip"], i["port"], cluster_name=i["cluster"], group_name=c["group"])
        return {"ok": ok}

    def subscribe(self, c):
        known = {}  # this client tells of one instance at a time

        def told(event, local):
            if event == Event.DELETED:
                known.pop(local.instance_id, None)
            else:
                known[local.instance_id] = instance(local.instance)
            wire.write({**wire.event("service", c), "instances": list(known.values())})

        self.client.subscribe(
            SubscribeListener(fn=told, listener_name="e2e"), POLL_SECONDS, service_name=c["service"],
            group_name=c["group"])
        for timer in self.client.subscribe_timer_manager.all_timers().values():
            timer.set_ignore_ex(True)  # else the first failed poll ends the subscription
        return {}

    def list(self, c):
        found = self.client.list_naming_instance(c["service"], group_name=c["group"])
        return {"instances": [instance(i) for i in found["hosts"]]}

    def close(self, c):
        self.client.stop_subscribe()
        return {}


def main():
    clients = {}
    for c in wire.commands():
        try:
            client = clients.setdefault(c["client"], Client())
            wire.answer(c, getattr(client, c["op"])(c))
        except Exception:
            wire.refuse(c)
    os._exit(0)  # threads of the SDK may live on


if __name__ == "__main__":
    main()
