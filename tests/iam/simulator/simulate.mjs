// Answers each line of JSON, a request and the policies that it meets, with a line: what IAM would say.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

async function answer({ policies, resourcePolicy, principal, action, resource, accountId, context }) {
  const simulation = {
    identityPolicies: policies.map((policy, index) => ({ name: `policy${index}`, policy })),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy,
    request: { principal, action, resource: { resource, accountId }, contextVariables: context },
  }
  const result = await runSimulation(simulation, {})
  if (result.resultType === 'error') return JSON.stringify(result.errors)
  // A key that the action does not have would make a condition hold, or not, for no reason.
  const ignored = result.result?.ignoredContextKeys ?? []
  return ignored.length ? `ignored: ${ignored}` : result.overallResult
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(JSON.parse(line)))
}
