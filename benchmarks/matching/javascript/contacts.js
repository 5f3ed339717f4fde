// What both scripts share: the files they are given, and how they answer.
import { readFileSync, writeSync } from 'node:fs'

/** The tenants' flows, first priority first, and the contacts as [user_id, lead_source, tags, custom_fields]. */
export function given () {
  const [flowsPath, contactsPath] = process.argv.slice(2)
  return [JSON.parse(readFileSync(flowsPath, 'utf8')), JSON.parse(readFileSync(contactsPath, 'utf8'))]
}

/** The facts of one contact: its custom fields, parsed, its lead source and its tag. */
export function factsOf ([, leadSource, tags, customFields]) {
  const facts = JSON.parse(customFields)
  facts.lead_source = leadSource
  facts.tag = JSON.parse(tags)[0]
  return facts
}

export function answer (priorities, milliseconds) {
  const text = Buffer.from(JSON.stringify({ priorities, seconds: milliseconds / 1000 }))
  for (let at = 0; at < text.length;) at += writeSync(1, text, at)
}
