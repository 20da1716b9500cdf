package batata.sdk;

import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.config.ConfigService;
import com.alibaba.nacos.api.config.listener.Listener;
import com.alibaba.nacos.api.exception.NacosException;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.NamingEvent;
import com.alibaba.nacos.api.naming.pojo.Instance;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Executor;

/** One client of the SDK: its config and its naming service. */
final class Client {
    private static final long TIMEOUT_MS = 5000;

    private final ConfigService config;
    private final NamingService naming;

    Client(String server) throws NacosException {
        Properties properties = new Properties();
        properties.put("serverAddr", server);
        config = NacosFactory.createConfigService(properties);
        naming = NacosFactory.createNamingService(properties);
    }

    void close() throws NacosException {
        naming.shutDown();
        config.shutDown();
    }

    void handle(String op, JsonNode c, ObjectNode answer, Driver driver) throws NacosException {
        String group = c.get("group").asText();
        String id = c.path("data_id").asText();
        String service = c.path("service").asText();
        boolean ok = true;
        switch (op) {
            case "publish" -> ok = config.publishConfig(id, group, c.path("content").asText());
            case "get" -> answer.put("content", config.getConfig(id, group, TIMEOUT_MS));
            case "remove" -> ok = config.removeConfig(id, group);
            case "listen" -> config.addListener(id, group, new Told(c, driver));
            case "register" -> naming.registerInstance(service, group, instance(c.get("instance")));
            case "deregister" -> naming.deregisterInstance(service, group, instance(c.get("instance")));
            case "subscribe" -> naming.subscribe(service, group, event -> {
                ObjectNode message = Driver.event("service", c);
                put(message, ((NamingEvent) event).getInstances());
                driver.write(message);
            });
            case "list" -> put(answer, naming.getAllInstances(service, group, false));
            default -> throw new IllegalArgumentException("no operation " + op);
        }
        answer.put("ok", ok);
    }

    private static Instance instance(JsonNode from) {
        Instance to = new Instance();
        to.setIp(from.get("ip").asText());
        to.setPort(from.get("port").asInt());
        to.setWeight(from.get("weight").asDouble());
        Map<String, String> metadata = new HashMap<>();
        from.get("metadata").fields().forEachRemaining(e -> metadata.put(e.getKey(), e.getValue().asText()));
        to.setMetadata(metadata);
        return to;
    }

    private static void put(ObjectNode message, List<Instance> instances) {
        ArrayNode list = message.putArray("instances");
        for (Instance from : instances) {
            ObjectNode to = list.addObject()
                    .put("ip", from.getIp())
                    .put("port", from.getPort())
                    .put("weight", from.getWeight())
                    .put("cluster", from.getClusterName());
            ObjectNode metadata = to.putObject("metadata");
            from.getMetadata().forEach(metadata::put);
        }
    }

    /** Writes an event for each call of a config listener. */
    private record Told(JsonNode command, Driver driver) implements Listener {
        @Override
        public Executor getExecutor() {
            return null; // the SDK's own
        }

        @Override
        public void receiveConfigInfo(String content) {
            driver.write(Driver.event("config", command).put("content", content));
        }
    }
}
