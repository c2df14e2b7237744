// Validates the AsyncAPI document with AsyncAPI's own parser, examples against schemas included.
import { readFile } from 'node:fs/promises'
import { Parser } from '@asyncapi/parser'

// Not published under a license; whom to ask is in the integration guide.
const NOT_OURS = ['asyncapi-info-license', 'asyncapi-info-license-url', 'asyncapi-info-contact', 'asyncapi-latest-version']
const path = process.argv[2]
const parser = new Parser()
const { document, diagnostics } = await parser.parse(await readFile(path, 'utf8'), { source: path })
const found = diagnostics.filter(({ code }) => !NOT_OURS.includes(code))
for (const { code, message, path, severity } of found) {
  console.error(`${['error', 'warning', 'info', 'hint'][severity]} ${code} at ${path.join('/')}: ${message}`)
}
if (document === undefined || found.length > 0) process.exit(1)
console.log(`${document.allMessages().length} messages, ${document.allSchemas().length} schemas`)
