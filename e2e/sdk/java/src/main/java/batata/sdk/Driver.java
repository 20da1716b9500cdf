package batata.sdk;

import com.alibaba.nacos.client.config.utils.SnapShotSwitch;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * Drives nacos-client for the end-to-end suite: commands come as JSON lines on
 * the standard input, answers and events go as JSON lines to the standard
 * output. The protocol is described in the Go package wire.
 */
public final class Driver {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final PrintStream out;
    private final Map<String, Client> clients = new HashMap<>();

    private Driver(PrintStream out) {
        this.out = out;
    }

    public static void main(String[] args) throws IOException {
        Driver driver = new Driver(new PrintStream(System.out, true, StandardCharsets.UTF_8));
        System.setOut(System.err); // what libraries print is no message
        SnapShotSwitch.setIsSnapShot(false); // answers come from the server or not at all
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode command = JSON.readTree(line);
            ObjectNode answer = JSON.createObjectNode();
            try {
                driver.handle(command, answer);
            } catch (Exception e) {
                e.printStackTrace();
                answer.put("ok", false).put("error", e.toString());
            }
            driver.write(answer.put("id", command.get("id").asInt()));
        }
        System.exit(0); // threads of the SDK may live on
    }

    /** Writes one message; called from the threads of listeners too. */
    synchronized void write(ObjectNode message) {
        out.println(message);
    }

    /** A new event of the client about what the command names. */
    static ObjectNode event(String name, JsonNode command) {
        ObjectNode message = JSON.createObjectNode().put("event", name);
        for (String key : new String[] {"client", "group", "data_id", "service"}) {
            message.set(key, command.get(key));
        }
        return message;
    }

    private void handle(JsonNode command, ObjectNode answer) throws Exception {
        String name = command.get("client").asText();
        String op = command.get("op").asText();
        if (op.equals("connect")) {
            clients.put(name, new Client(command.get("server").asText()));
            answer.put("ok", true);
            return;
        }
        Client client = clients.get(name);
        if (client == null) {
            throw new IllegalArgumentException("no client " + name);
        }
        if (op.equals("close")) {
            clients.remove(name);
            client.close();
            answer.put("ok", true);
            return;
        }
        client.handle(op, command, answer, this);
    }
}
