-- The end of a run as most come to it, in one statement instead of eleven: nothing is open any more that would have to be closed, told to
-- anybody, or added up. Takes the locks in their order and writes what is carried, as settling does; where more than that is to be done it
-- answers with no row, and whoever settles goes the long way, for which what is carried was only written earlier.
-- p_head: a signalbox_head; p_events: what is carried; p_end: the terminal event without its time. @returns the row as it has ended
CREATE FUNCTION signalbox_settle(p_execution text, p_head json, p_events json, p_status text, p_output json, p_error json, p_reason text, p_usage json,
  p_end json) RETURNS SETOF executions LANGUAGE plpgsql AS $$
DECLARE
  e executions;
  s streams;
  head signalbox_head := json_populate_record(NULL::signalbox_head, p_head);
  carried signalbox_event[] := signalbox_events(p_events);
  last signalbox_event := json_populate_record(NULL::signalbox_event, p_end);
BEGIN
  SELECT * INTO e FROM executions WHERE id = p_execution FOR NO KEY UPDATE;
  IF NOT FOUND OR e.status IN ('completed', 'failed', 'cancelled', 'cancelling') OR e.parent_awaited THEN
    RETURN;
  END IF;
  PERFORM signalbox_project_execution(p_execution, head.counter, head.status, head.progress);
  SELECT * INTO s FROM streams WHERE id = p_execution FOR NO KEY UPDATE;
  IF cardinality(carried) > 0 THEN
    PERFORM signalbox_append_locked(s, carried);
    SELECT * INTO s FROM streams WHERE id = p_execution;
  END IF;
  IF cardinality(head.delivered) > 0 THEN
    UPDATE commands SET delivered_at = now() WHERE delivered_at IS NULL AND target_id = p_execution AND id = ANY(head.delivered);
  END IF;
  IF s.closed_at IS NOT NULL
    OR EXISTS (SELECT FROM approvals WHERE execution_id = p_execution AND status = 'pending')
    OR EXISTS (SELECT FROM steps WHERE execution_id = p_execution
      AND (type = 'agent_prompt' OR usage IS NOT NULL OR status NOT IN ('completed', 'failed', 'cancelled', 'skipped')))
  THEN
    RETURN;
  END IF;
  DELETE FROM segments WHERE execution_id = p_execution;
  IF FOUND THEN
    DELETE FROM segment_inputs WHERE execution_id = p_execution;
  END IF;
  UPDATE executions SET status = p_status, output = p_output, error = p_error, reason = p_reason, usage = p_usage,
    completed_at = clock_timestamp(), updated_at = now()
  WHERE id = p_execution RETURNING * INTO e;
  last.at := floor(extract(epoch FROM e.completed_at) * 1000);
  PERFORM signalbox_append_locked(s, ARRAY[last]);
  UPDATE commands SET delivered_at = now() WHERE target_id = p_execution AND delivered_at IS NULL AND kind <> 'cancel';
  RETURN NEXT e;
END $$;
