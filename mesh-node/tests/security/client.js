// A client of a mesh that knows nothing of it but HTTP, TLS and JSON-RPC.
//
// Usage: node client.js URL CA [CERT KEY], with an API key, if any, in the variable KEY. Prints the
// HTTP status and the answer, or what went wrong.

const fs = require("fs");
const https = require("https");

const [url, ca, cert, key] = process.argv.slice(2);
const headers = { "content-type": "application/json" };
if (process.env.KEY) {
  headers.authorization = `Bearer ${process.env.KEY}`;
}
const options = { method: "POST", headers, ca: fs.readFileSync(ca), timeout: 30000 };
if (cert) {
  options.cert = fs.readFileSync(cert);
  options.key = fs.readFileSync(key);
}
const request = https.request(url, options, (answer) => {
  let body = "";
  answer.on("data", (piece) => (body += piece));
  answer.on("end", () => {
    const said = answer.statusCode === 200 ? JSON.parse(body).result.result : answer.headers["www-authenticate"];
    console.log(answer.statusCode, said);
  });
});
request.on("error", (error) => console.log("failed", error.message));
request.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "work", params: { text: "from Node" } }));
