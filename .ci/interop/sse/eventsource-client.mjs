// The EventSource of the npm package eventsource. It prints all that happens
// until the event called done.
import { EventSource } from 'eventsource';

const print = (line) => console.log(JSON.stringify(line));
const es = new EventSource(process.argv[2]);
const event = (e) => print({ kind: 'event', type: e.type, data: e.data, id: e.lastEventId });

es.addEventListener('open', () => print({ kind: 'open' }));
es.addEventListener('error', () => print({ kind: 'error', state: es.readyState }));
for (const type of ['message', 'add', 'grüße']) es.addEventListener(type, event);
es.addEventListener('done', () => {
  es.close();
  print({ kind: 'done', state: es.readyState });
});
