"""Drives the asynchronous clients of nacos-sdk-python, which speak gRPC, for the
end-to-end suite."""

import asyncio
import os

from v2.nacos import (
    ClientConfigBuilder,
    ConfigParam,
    DeregisterInstanceParam,
    ListInstanceParam,
    NacosConfigService,
    NacosNamingService,
    RegisterInstanceParam,
    SubscribeServiceParam,
)

import wire


def instances(found):
    return [
        {"ip": i.ip, "port": i.port, "weight": i.weight, "cluster": i.clusterName, "metadata": i.metadata}
        for i in found or []
    ]


class Client:
    async def connect(self, c):
        config = (
            ClientConfigBuilder()
            .server_address(c["server"])
            .log_dir(os.path.join(c["dir"], "log"))
            .cache_dir(os.path.join(c["dir"], "cache"))
            .load_cache_at_start(False)
            .build()
        )
        config.set_update_cache_when_empty(True)  # NAC-NAM-42
        config.disable_use_config_cache = True  # answers come from the server or not at all
        self.config = await NacosConfigService.create_config_service(config)
        self.naming = await NacosNamingService.create_naming_service(config)
        return {}

    async def publish(self, c):
        param = ConfigParam(data_id=c["data_id"], group=c["group"], content=c["content"])
        return {"ok": await self.config.publish_config(param)}

    async def get(self, c):
        param = ConfigParam(data_id=c["data_id"], group=c["group"])
        return {"content": await self.config.get_config(param)}

    async def remove(self, c):
        param = ConfigParam(data_id=c["data_id"], group=c["group"])
        return {"ok": await self.config.remove_config(param)}

    async def listen(self, c):
        async def told(tenant, group, data_id, content):
            wire.write({**wire.event("config", c), "content": content})

        await self.config.add_listener(c["data_id"], c["group"], told)
        return {}

    async def register(self, c):
        i = c["instance"]
        param = RegisterInstanceParam(
            service_name=c["service"], group_name=c["group"], ip=i["ip"], port=i["port"], weight=i["weight"],
            metadata=i["metadata"])
        return {"ok": await self.naming.register_instance(param)}

    async def deregister(self, c):
        i = c["instance"]
        param = DeregisterInstanceParam(service_name=c["service"], group_name=c["group"], ip=i["ip"], port=i["port"])
        return {"ok": await self.naming.deregister_instance(param)}

    async def subscribe(self, c):
        async def told(found):
            wire.write({**wire.event("service", c), "instances": instances(found)})

        await self.naming.subscribe(
            SubscribeServiceParam(service_name=c["service"], group_name=c["group"], subscribe_callback=told))
        return {}

    async def list(self, c):
        param = ListInstanceParam(
            service_name=c["service"], group_name=c["group"], subscribe=False, healthy_only=None)
        return {"instances": instances(await self.naming.list_instances(param))}

    async def close(self, c):
        await self.naming.shutdown()
        await self.config.shutdown()
        return {}


async def main():
    clients = {}
    loop = asyncio.get_running_loop()
    lines = wire.commands()
    while (c := await loop.run_in_executor(None, next, lines, None)) is not None:
        try:
            client = clients.setdefault(c["client"], Client())
            wire.answer(c, await getattr(client, c["op"])(c))
        except Exception:
            wire.refuse(c)
    os._exit(0)  # tasks of the SDK may live on


asyncio.run(main())
