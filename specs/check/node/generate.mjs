// Makes TypeScript types: of the API by openapi-typescript, of the messages by json-schema-to-typescript.
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import openapi, { astToString } from 'openapi-typescript'
import { compileFromFile } from 'json-schema-to-typescript'

const [specs, target] = process.argv.slice(2)
await mkdir(target, { recursive: true })
const api = await openapi(pathToFileURL(resolve(specs, 'openapi.json')))
await writeFile(join(target, 'api.ts'), astToString(api))
const schemas = join(specs, 'schemas')
const inputs = (await readdir(schemas)).filter((name) => /^(order|payment|client)\..*\.json$/.test(name))
for (const name of ['envelope.json', ...inputs]) {
  const types = await compileFromFile(join(schemas, name), { cwd: schemas, additionalProperties: false })
  await writeFile(join(target, name.replace(/\.json$/, '.ts')), types)
}
console.log(`${inputs.length + 2} files`)
