// Asks the independent evaluator @cloud-copilot/iam-simulate, one process for all requests.
//
// That package is AGPL-3.0: a tool of the tests, never shipped and never imported by
// anything but this file.
//
//   stdin  {"policies": {NAME: DOCUMENT}, "requests": [{"policies": [NAME], "principal": ARN,
//           "action": "", "resource": "", "account": "", "context": {KEY: VALUE},
//           "trust": NAME of the role's trust policy, "resourcePolicy": NAME of the resource's policy}]}
//   stdout {"version": "", "answers": [{"result": "", "bare": "", "ignored": [KEY], "error": ""}]}
//
// "result" is the evaluator's judgement with its own data on which resources and keys an
// action has: keys that it does not know for the action, it leaves out and lists in
// "ignored"; what it refuses is in "error". That part is slow and the same for all requests of
// an action, a kind of resource and some keys, so it is done for the first of them only. "bare" is its
// judgement of the request exactly as it stands, but for "*": that would be a pattern there,
// and for actions without resource types it is a resource that only "*" matches.
import { readFileSync } from 'node:fs'
import { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy, validateTrustPolicy } from '@cloud-copilot/iam-policy'
import { anonymousPrincipal, runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'

// The evaluator compares names by localeCompare with options, some hundred times a request, and
// that makes a collator each time. The same collators, kept, are ten times as fast.
const collators = new Map()
String.prototype.localeCompare = function (that, locales, options) {
  const key = `${locales} ${options?.sensitivity}`
  if (!collators.has(key)) {
    collators.set(key, new Intl.Collator(locales, options))
  }
  return collators.get(key).compare(this, that)
}

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

// Validated once, not for each request.
const trusts = new Set(input.requests.map((r) => r.trust))
const resourcePolicies = new Set(input.requests.map((r) => r.resourcePolicy))
const validatorOf = (name) => (resourcePolicies.has(name) ? validateResourcePolicy : validateIdentityPolicy)
const policies = new Map(Object.entries(input.policies).filter(([name]) => !trusts.has(name)).map(([name, policy]) => [name, createValidatedPolicy(policy, validatorOf(name), { name })]))

// Keys that have several values, which the questions separate by commas.
const several = ['aws:TagKeys', 'aws:CalledVia', 'aws:PrincipalOrgPaths', 'kms:ResourceAliases']

const kinds = new Map()
const answers = []
for (const r of input.requests) {
  const simulation = {
    request: {
      principal: r.principal || anonymousPrincipal,
      action: r.action,
      resource: { resource: r.resource, accountId: r.account },
      contextVariables: Object.fromEntries(Object.entries(r.context).map(([key, value]) => [key, several.includes(key) ? value.split(',') : value])),
    },
    identityPolicies: r.policies.map((name) => ({ name, policy: policies.get(name) })),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: r.trust
      ? createValidatedPolicy(input.policies[r.trust], validateTrustPolicy, { name: r.trust })
      : r.resourcePolicy
        ? policies.get(r.resourcePolicy)
        : r.action.startsWith('kms:')
          ? keyPolicy(r.principal.split(':')[1], r.account)
          : undefined,
  }
  const answer = { result: '', bare: '', ignored: [], error: '' }
  const resource = r.resource === '*' ? 'arn:none:none:::none/none' : r.resource
  const request = { ...simulation.request, resource: { ...simulation.request.resource, resource } }
  answer.bare = runUnsafeSimulation({ ...simulation, request }, {})
  const kind = [r.trust, r.action, r.resource.split('/')[0], r.resource.includes('/'), ...Object.keys(r.context).sort()].join(' ')
  if (kinds.has(kind)) {
    answers.push({ ...kinds.get(kind), result: '', bare: answer.bare })
    continue
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
  kinds.set(kind, answer)
  answers.push(answer)
}
process.stdout.write(JSON.stringify({ version, answers }))
