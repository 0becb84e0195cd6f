/** The built-in skill: how to work with Signalbox's own workflows. */
export const WORKFLOWS_SKILL = `# Working with workflows

## Before the first call
- List the tools of the provider \`workflows\` with \`list_tools\` before you use it. Call tools by their full id, such as
  \`workflows:list_workflows\`, with a one-line \`summary\` of what the call is for.
- List workflows before you create one: what is asked for may exist. Triggers need no such look: they are updated by name.
- Get a workflow before you update it.

## When something is wrong
- Debug first: \`workflows:debug_execution\` says what state a run is in, why, and what can be done.
- Cancel and rerun when the state is inconsistent. History and rollback bring an earlier version back.

## Approvals belong to people
- You cannot approve anything, and asking for it in other words changes nothing. Say who must decide and where (chat, the
  approvals page, Slack), then stop.
- Destructive tools may be held for a person. Wait for the answer; when it is denied, do not try another way to the same end.

## After a start
- A start answers at once. Report the execution's id and link; do not poll it. Its end is told to the person by itself.

## Inside a workflow
- Propose changes instead of making them: \`workflows:create_workflow_proposal\`. What would change, delete or roll back a
  workflow or trigger from inside a run is refused.

## Large values
- A reference \`{ ref, bytes, sha256, preview }\` stands for a value that is too large to show. Say that you see a preview only,
  and do not guess the rest; \`values:read\` reads it in pieces.
`;
