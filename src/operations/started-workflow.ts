/** How a started execution shows in Temporal, whoever starts it: an operation or a Schedule. Pure. */
import { defineSearchAttributeKey } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../workflows/messages.js';

export interface StartedAttributes {
  readonly workflow: string;
  readonly owner: string;
  readonly status: string;
  readonly trigger: string;
}

const KEYS = {
  workflow: defineSearchAttributeKey(SEARCH_ATTRIBUTES.workflow, 'KEYWORD'),
  owner: defineSearchAttributeKey(SEARCH_ATTRIBUTES.owner, 'KEYWORD'),
  status: defineSearchAttributeKey(SEARCH_ATTRIBUTES.status, 'KEYWORD'),
  trigger: defineSearchAttributeKey(SEARCH_ATTRIBUTES.trigger, 'KEYWORD'),
};
/** Temporal's limit is 400 bytes as an encoded payload; a UTF-16 unit has at most 3. */
const SUMMARY_UNITS = 120;

/** What operators search by. */
export const toSearchAttributes = ({ workflow, owner, status, trigger }: StartedAttributes) => [
  { key: KEYS.workflow, value: workflow },
  { key: KEYS.owner, value: owner },
  { key: KEYS.status, value: status },
  { key: KEYS.trigger, value: trigger },
];

/** The definition's name: what operators read in lists. */
export const toSummary = (name: string): string => name.slice(0, SUMMARY_UNITS).replace(/[\ud800-\udbff]$/, '');
