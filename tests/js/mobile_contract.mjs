// Checks rows by the page's contract: a line of standard input is {columns, rows}, a line of output what came of it.
import { createInterface } from "node:readline";
import { ContractBroken, RequestError, check, tableOf } from "../../templates/modelyard_templates/onnxruntime_mobile/contract.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { columns, rows } = JSON.parse(line);
  const sent = JSON.stringify({ rows });
  try {
    const { table, flags } = check(columns, tableOf(rows), rows.length);
    console.log(JSON.stringify({ sent, table, flags }));
  } catch (error) {
    if (error instanceof ContractBroken) console.log(JSON.stringify({ sent, error: error.message, violations: error.violations }));
    else if (error instanceof RequestError) console.log(JSON.stringify({ sent, request: error.message }));
    else throw error;
  }
}
