'use strict';

// A client of the suite, in the form in which such drivers are usually
// written for the public suite: node client.js ws://127.0.0.1:9002 [name [deflate]]

const WebSocket = require('ws');

const url = process.argv[2];
const agent = encodeURIComponent(process.argv[3] || 'ws');
const options = {
  maxPayload: 64 * 1024 * 1024,
  perMessageDeflate: process.argv[4] === 'deflate' ? { threshold: 0 } : false
};

let currentTest = 1;
let testCount;

function nextTest() {
  if (currentTest > testCount) {
    const ws = new WebSocket(`${url}/updateReports?agent=${agent}`);
    ws.on('close', () => process.exit());
    return;
  }

  const ws = new WebSocket(`${url}/runCase?case=${currentTest}&agent=${agent}`, options);
  ws.on('message', (data, isBinary) => {
    ws.send(data, { binary: isBinary });
  });
  ws.on('close', () => {
    currentTest++;
    process.nextTick(nextTest);
  });
  ws.on('error', () => {});
}

const ws = new WebSocket(`${url}/getCaseCount`);
ws.on('message', (data) => {
  testCount = parseInt(data);
});
ws.on('close', () => {
  if (testCount > 0) nextTest();
});
