// Plain JavaScript: contact by contact and flow by flow, stopping at the first that fits.
import { answer, factsOf, given } from './contacts.js'

const [flows, contacts] = given()

function holds (test, facts) {
  const seen = facts[test.field]
  const wanted = test.value
  switch (test.operator) {
    case 'equals': return seen === wanted
    case 'not_equals': return seen !== wanted
    case 'gt': return seen > wanted
    case 'gte': return seen >= wanted
    case 'lt': return seen < wanted
    default: return wanted[0] <= seen && seen <= wanted[1]
  }
}

const tests = Object.fromEntries(Object.entries(flows).map(([userId, own]) =>
  [userId, own.map(flow => ({
    priority: flow.priority,
    tests: flow.tests.map(([field, operator, value]) => ({ field, operator, value }))
  }))]))

const begun = performance.now()
const priorities = contacts.map(contact => {
  const facts = factsOf(contact)
  const own = tests[contact[0]] ?? []
  const won = own.find(flow => flow.tests.every(test => holds(test, facts)))
  return won === undefined ? -1 : won.priority
})
answer(priorities, performance.now() - begun)
