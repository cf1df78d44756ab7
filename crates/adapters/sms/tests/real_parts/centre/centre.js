// A message centre for tests: node-smpp speaks the protocol, this only says what to do with each number's last digit.
// Prints one JSON object a line: where it listens, and what comes in.
const smpp = require("smpp");

const REFUSALS = { 1: "ESME_RINVDSTADR", 2: "ESME_RTHROTTLED", 3: "ESME_RSYSERR", 4: "ESME_RMSGQFUL" };
const [SILENT, CLOSE] = ["5", "6"];
let messages = 0;

const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");

const server = smpp.createServer((session) => {
  session.on("error", () => session.close());
  session.on("bind_transceiver", (pdu) => {
    const good = pdu.system_id === "shop" && pdu.password === "s3cret";
    tell({ bind: pdu.system_id, version: pdu.interface_version, good });
    session.send(pdu.response({ command_status: good ? smpp.ESME_ROK : smpp.ESME_RINVPASWD, system_id: "centre" }));
  });
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("deliver_sm_resp", () => tell({ acknowledged: true }));
  session.on("submit_sm", (pdu) => {
    const digit = pdu.destination_addr.slice(-1);
    tell({
      to: pdu.destination_addr,
      from: pdu.source_addr,
      ton: [pdu.source_addr_ton, pdu.dest_addr_ton],
      coding: pdu.data_coding,
      receipt: pdu.registered_delivery,
      text: pdu.short_message.message,
      parts: (pdu.short_message.udh || []).map((element) => element.toString("hex")),
    });
    if (digit === SILENT) return;
    if (digit === CLOSE) return session.close();
    if (REFUSALS[digit]) return session.send(pdu.response({ command_status: smpp[REFUSALS[digit]] }));
    const id = `centre-${++messages}`;
    session.send(pdu.response({ message_id: id }));
    session.deliver_sm({
      source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr,
      esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2311142213 done date:2311142213 stat:DELIVRD err:000 text:`,
    });
  });
});
server.listen(0, "127.0.0.1", () => tell({ port: server.address().port }));
