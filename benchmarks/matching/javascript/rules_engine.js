// json-rules-engine: an engine a tenant, a rule a flow, stopped at the first that fits.
import { Engine } from 'json-rules-engine'
import { answer, factsOf, given } from './contacts.js'

const [flows, contacts] = given()
const OPERATORS = {
  equals: 'equal', not_equals: 'notEqual', gt: 'greaterThan', gte: 'greaterThanInclusive', lt: 'lessThan'
}

function conditions ([fact, operator, value]) {
  return operator === 'between'
    ? [{ fact, operator: 'greaterThanInclusive', value: value[0] }, { fact, operator: 'lessThanInclusive', value: value[1] }]
    : [{ fact, operator: OPERATORS[operator], value }]
}

const engines = Object.fromEntries(Object.entries(flows).map(([userId, own]) => {
  const engine = new Engine()
  for (const flow of own) {
    engine.addRule({
      // Its higher numbers go first.
      priority: own.length - flow.priority,
      conditions: { all: flow.tests.flatMap(conditions) },
      event: { type: 'won', params: { priority: flow.priority } }
    })
  }
  engine.on('success', () => engine.stop())
  return [userId, engine]
}))

const begun = performance.now()
const priorities = []
for (const contact of contacts) {
  const { events } = engines[contact[0]] === undefined ? { events: [] } : await engines[contact[0]].run(factsOf(contact))
  priorities.push(events.length === 0 ? -1 : events[0].params.priority)
}
answer(priorities, performance.now() - begun)
