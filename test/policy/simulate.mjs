// Asks the independent evaluator @cloud-copilot/iam-simulate, one process for all requests.
//
// That package is AGPL-3.0: a tool of the tests, never shipped and never imported by
// anything but this file.
//
//   stdin  {"policies": {NAME: DOCUMENT}, "requests": [{"policies": [NAME], "principal": ARN,
//           "action": "", "resource": "", "account": "", "context": {KEY: VALUE}}]}
//   stdout {"version": "", "answers": [{"result": "", "bare": "", "ignored": [KEY], "error": ""}]}
//
// The evaluator judges each request twice. "result" is its judgement with its own data on
// which keys an action has: keys that it does not know for the action, it leaves out and
// lists in "ignored"; what it refuses is in "error". "bare" is its judgement of the request
// exactly as it stands, where that names a resource: "*" alone would be a pattern there.
import { readFileSync } from 'node:fs'
import { createValidatedPolicy, validateResourcePolicy } from '@cloud-copilot/iam-policy'
import { runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'

const manifest = new URL('../../node_modules/@cloud-copilot/iam-simulate/package.json', import.meta.url)
const { version } = JSON.parse(readFileSync(manifest))
const input = JSON.parse(readFileSync(0))

// KMS lets identity-based policies decide only where the key's policy says so, as the
// default one does.
const keyPolicy = (partition, account) =>
  createValidatedPolicy(
    {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:${partition}:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }],
    },
    validateResourcePolicy,
    { name: 'KeyPolicy' }
  )

const answers = []
for (const r of input.requests) {
  const simulation = {
    request: {
      principal: r.principal,
      action: r.action,
      resource: { resource: r.resource, accountId: r.account },
      contextVariables: r.context,
    },
    identityPolicies: r.policies.map((name) => ({ name, policy: input.policies[name] })),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: r.action.startsWith('kms:') ? keyPolicy(r.principal.split(':')[1], r.account) : undefined,
  }
  const answer = { result: '', bare: '', ignored: [], error: '' }
  if (r.resource !== '*') {
    answer.bare = runUnsafeSimulation(simulation, {})
  }
  // It throws on a key that its data has for the action but not in its list of keys.
  const full = await runSimulation(simulation, {}).catch((thrown) => ({ resultType: 'error', errors: { message: thrown.message } }))
  if (full.resultType === 'error') {
    answer.error = full.errors.message
    if (full.errors.identityPolicyErrors) {
      answer.error += ' ' + JSON.stringify(full.errors.identityPolicyErrors)
    }
  } else {
    answer.result = full.overallResult
    answer.ignored = full.resultType === 'single' ? full.result.ignoredContextKeys : full.results.flatMap((x) => x.ignoredContextKeys)
  }
  answers.push(answer)
}
process.stdout.write(JSON.stringify({ version, answers }))
