// One gRPC call without TLS: ADDRESS and METHOD as arguments, the message on standard input; prints status, message and answer.
import { connect } from "node:http2";
import { readFileSync } from "node:fs";

const [address, method] = process.argv.slice(2);
const body = readFileSync(0);
const frame = Buffer.alloc(5);
frame.writeUInt32BE(body.length, 1);
const session = connect(`http://${address}`);
session.on("error", (error) => {
  console.error(String(error));
  process.exit(1);
});
const request = session.request({
  ":method": "POST",
  ":path": method,
  "content-type": "application/grpc",
  te: "trailers",
});
const chunks = [];
let ended = {};
const take = (headers) => {
  if ("grpc-status" in headers) ended = headers;
};
request.on("response", take);
request.on("trailers", take);
request.on("data", (chunk) => chunks.push(chunk));
request.on("end", () => {
  session.close();
  const answer = Buffer.concat(chunks).subarray(5).toString("base64");
  const said = decodeURIComponent(ended["grpc-message"] ?? "");
  console.log(JSON.stringify({ status: Number(ended["grpc-status"] ?? -1), message: said, answer }));
});
request.end(Buffer.concat([frame, body]));
