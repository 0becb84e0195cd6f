/** `/api/approvals`: gates, and the decisions of people. */
import { z } from 'zod';
import { decideApproval } from '../../operations/decide-approval.js';
import { getApproval, listApprovals } from '../../operations/read-approvals.js';
import { reply, route, type Route } from '../route.js';
import { AnyJson, BooleanQuery, idParam, listOf, pageQuery, text } from '../shapes.js';
import { APPROVAL_STATUSES, ApprovalShape } from './shape.js';

const tag = 'Approvals';
const params = z.object({ id: idParam('apr') });
const ApprovalAnswer = z.object({ approval: ApprovalShape });

const ListQuery = z.object({
  ...pageQuery,
  status: z.enum(APPROVAL_STATUSES).exactOptional(),
  executionId: text(1, 200).exactOptional(),
  mine: BooleanQuery.exactOptional(),
});

const DecisionBody = z.strictObject({ reason: text(0, 4_000).exactOptional(), answer: AnyJson.exactOptional() }).default({});

const decisionRoute = (verb: 'approve' | 'deny', summary: string): Route =>
  route({
    method: 'post',
    path: `/api/approvals/:id/${verb}`,
    tag,
    summary,
    auth: 'decide',
    params,
    body: DecisionBody,
    description: 'The answer shows the gate as it then is: still pending while the quorum is short.',
    problems: { 403: ['approver_not_allowed', 'agent_cannot_decide'], 409: ['approval_settled', 'already_voted'] },
    responses: { 200: ApprovalAnswer },
    handle: async ({ deps, principal, params: { id }, body }) =>
      reply(200, await decideApproval(deps.operations, principal, { id, decision: verb, ...body })),
  });

export const approvalRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/approvals',
    tag,
    summary: 'List approvals, newest first',
    auth: 'read',
    query: ListQuery,
    responses: { 200: listOf(ApprovalShape) },
    handle: async ({ deps, principal, query }) => reply(200, await listApprovals(deps.operations, principal, query)),
  }),
  route({
    method: 'get',
    path: '/api/approvals/:id',
    tag,
    summary: 'One approval',
    auth: 'read',
    params,
    responses: { 200: ApprovalAnswer },
    handle: async ({ deps, principal, params: { id } }) => reply(200, await getApproval(deps.operations, principal, { id })),
  }),
  decisionRoute('approve', 'Approve'),
  decisionRoute('deny', 'Deny'),
];
