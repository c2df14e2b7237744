// Checks manifests, a JSON list in a file, of the kinds that Kubernetes itself does not know.
import { readFileSync } from 'node:fs'

const packages = { 'keda.sh': '@kubernetes-models/keda', 'monitoring.coreos.com': '@kubernetes-models/prometheus-operator' }

const input = readFileSync(process.argv[2], 'utf8')
const problems = []
for (const manifest of JSON.parse(input)) {
  const [group] = manifest.apiVersion.split('/')
  const { [manifest.kind]: Model } = await import(`${packages[group]}/${manifest.apiVersion}`)
  try {
    new Model(manifest).validate()
  } catch (error) {
    problems.push(`${manifest.kind} ${manifest.metadata.name}: ${error.message}`)
  }
}
if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
