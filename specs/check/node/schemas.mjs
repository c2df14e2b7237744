// Compiles every JSON Schema in Ajv's strict mode, and checks the examples: each by its own schema, events by the envelope's.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'

const folder = process.argv[2]
const read = async (...parts) => JSON.parse(await readFile(join(...parts), 'utf8'))
const files = (await readdir(folder)).filter((name) => name.endsWith('.json'))
// A field may be of a type or null, and what `if` requires is described beside it.
const ajv = new Ajv({ strict: true, strictRequired: false, strictTypes: false, allErrors: true })
formats.default(ajv)
ajv.addKeyword('x-extensible-enum')
const schemas = new Map()
for (const name of files) schemas.set(name, await read(folder, name))
for (const schema of schemas.values()) ajv.addSchema(schema)
const problems = []
const check = (schema, name, value) => {
  const validate = ajv.getSchema(schema.$id)
  if (!validate(value)) problems.push(`${name} by ${schema.title}: ${ajv.errorsText(validate.errors)}`)
}
for (const [name, schema] of schemas) {
  ajv.getSchema(schema.$id)
  if (name === 'envelope.json') continue
  const example = await read(folder, 'examples', name)
  check(schema, name, example)
  if ('schemaVersion' in example) {
    check(schemas.get('envelope.json'), name, example)
    check(schema, `${name} of a later version`, { ...example, addedLater: 1, payload: { ...example.payload, addedLater: 1 } })
  }
}
if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
console.log(`${schemas.size} schemas, ${schemas.size - 1} examples`)
