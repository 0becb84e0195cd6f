-- The hot path: what activities record is one call, one statement, one transaction. Every statement inside sees what was
-- committed before it, so that a check made after taking the stream's row lock holds.
--
-- Lock order everywhere: executions row, execution's stream row, session's stream row, then others. All writers of an
-- execution's events, steps and gates hold its stream row.

-- An event as it comes. `at` in ms. "executionId": only of a session's event. `step`: what it says of its step's row ({ key, type, status, input,
-- output, error, choice, warnings, usage, model, turnIds, seeded }). `log` false: projects on the row without an event.
CREATE TYPE signalbox_event AS (key text, kind text, "executionId" text, "stepId" text, path text, attempt integer, at bigint, data json, step json,
  log boolean);

-- What an event says of its step's row. A row that has ended never changes.
CREATE FUNCTION signalbox_project_step(p_execution text, p_owner text, e signalbox_event) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  instant timestamptz := to_timestamp(e.at / 1000.0);
  p record;
  is_end boolean;
BEGIN
  SELECT * INTO p FROM json_to_record(e.step) AS x(key text, type text, status text, input json, output json, error json, choice json,
    warnings json, usage json, model text, "turnIds" json, seeded boolean);
  is_end := p.status IN ('completed', 'failed', 'cancelled', 'skipped');
  INSERT INTO steps AS t (execution_id, instance_key, owner_id, step_id, iteration_path, attempt, type, status, input, output, error, choice,
    warnings, usage, model, turn_ids, seeded, started_at, completed_at)
  VALUES (p_execution, p.key, p_owner, e."stepId", e.path, e.attempt, p.type, p.status, p.input, p.output, p.error, p.choice,
    p.warnings, p.usage, p.model, p."turnIds", coalesce(p.seeded, false),
    CASE WHEN p.status <> 'skipped' THEN instant END, CASE WHEN is_end THEN instant END)
  ON CONFLICT (execution_id, instance_key) DO UPDATE SET
    status = EXCLUDED.status,
    input = coalesce(EXCLUDED.input, t.input),
    output = coalesce(EXCLUDED.output, t.output),
    error = coalesce(EXCLUDED.error, t.error),
    choice = coalesce(EXCLUDED.choice, t.choice),
    warnings = coalesce(EXCLUDED.warnings, t.warnings),
    usage = coalesce(EXCLUDED.usage, t.usage),
    model = coalesce(EXCLUDED.model, t.model),
    turn_ids = coalesce(EXCLUDED.turn_ids, t.turn_ids),
    started_at = coalesce(t.started_at, EXCLUDED.started_at),
    completed_at = EXCLUDED.completed_at
  WHERE t.status NOT IN ('completed', 'failed', 'cancelled', 'skipped');
END $$;

-- Appends under the stream's lock, which the caller holds and read `s` by: in the order given; an event whose key is there already
-- changes nothing. The terminal event closes the stream; a closed stream takes nothing.
-- Returns the seq of each event, null where nothing was appended.
CREATE FUNCTION signalbox_append_locked(s streams, p_events signalbox_event[]) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  seqs integer[] := '{}';
  next integer := s.next_seq;
  mirror integer;
  is_closed boolean := s.id IS NULL OR s.closed_at IS NOT NULL;
  e signalbox_event;
BEGIN
  IF is_closed OR cardinality(p_events) = 0 THEN
    RETURN array_fill(NULL::integer, ARRAY[cardinality(p_events)]);
  END IF;
  IF s.kind = 'session' THEN
    mirror := next;
  ELSIF s.session_id IS NOT NULL THEN
    SELECT next_seq INTO mirror FROM streams WHERE id = s.session_id FOR NO KEY UPDATE;
  END IF;
  FOREACH e IN ARRAY p_events LOOP
    IF is_closed THEN
      seqs := seqs || NULL::integer;
      CONTINUE;
    END IF;
    IF e.log IS NOT FALSE THEN
      -- One at a time: a set of them would be planned without knowing how few they are.
      INSERT INTO events (stream_id, seq, owner_id, session_id, session_seq, event_key, execution_id, kind, step_id, iteration_path, attempt, at, data)
      VALUES (s.id, next, s.owner_id, CASE s.kind WHEN 'session' THEN s.id ELSE s.session_id END, mirror,
        e.key, CASE s.kind WHEN 'execution' THEN s.id ELSE e."executionId" END, e.kind, e."stepId", e.path, e.attempt, to_timestamp(e.at / 1000.0), e.data)
      ON CONFLICT (stream_id, event_key) DO NOTHING;
      IF NOT FOUND THEN
        seqs := seqs || NULL::integer;
        CONTINUE;
      END IF;
      seqs := seqs || next;
      next := next + 1;
      mirror := mirror + 1;
      is_closed := e.kind IN ('execution.completed', 'execution.failed', 'execution.cancelled');
    ELSE
      seqs := seqs || NULL::integer;
    END IF;
    IF e.step IS NOT NULL THEN
      PERFORM signalbox_project_step(s.id, s.owner_id, e);
    END IF;
  END LOOP;
  IF next > s.next_seq THEN
    UPDATE streams SET next_seq = next, closed_at = CASE WHEN is_closed THEN now() END WHERE id = s.id;
    IF s.kind = 'execution' AND mirror IS NOT NULL THEN
      UPDATE streams SET next_seq = mirror WHERE id = s.session_id;
    END IF;
  END IF;
  RETURN seqs;
END $$;

CREATE FUNCTION signalbox_events(p_events json) RETURNS signalbox_event[] LANGUAGE sql AS $$
  SELECT coalesce(array_agg(e), '{}') FROM json_populate_recordset(NULL::signalbox_event, p_events) AS e;
$$;

-- The same for a caller inside a transaction of its own: takes the lock.
CREATE FUNCTION signalbox_append(p_stream text, p_events json) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  s streams;
BEGIN
  SELECT * INTO s FROM streams WHERE id = p_stream FOR NO KEY UPDATE;
  RETURN signalbox_append_locked(s, signalbox_events(p_events));
END $$;

-- The engine's projection on the execution's row: a higher counter only, no end (that is settled elsewhere), nothing after an
-- end, and from `cancelling` no way back.
CREATE FUNCTION signalbox_project_execution(p_execution text, p_counter integer, p_status text, p_progress json)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE executions SET
    counter = p_counter,
    progress = p_progress,
    status = CASE
      WHEN status = 'cancelling' OR p_status IN ('completed', 'failed', 'cancelled', 'pending') THEN status
      ELSE p_status END,
    started_at = coalesce(started_at, now()),
    updated_at = now()
  WHERE id = p_execution AND counter < p_counter AND status NOT IN ('completed', 'failed', 'cancelled');
END $$;

-- What activities record, in order, each answered. Common: key, "stepId", path, attempt, type: the step instance; at: ms.
--   op 'append': events                                              -> { kind: 'appended', closed }
--   op 'begin': input, holder, "mayRepeat", events (before), started (the step.started), "unknownError" and unknown (the step.failed)
--                                                                    -> { kind: 'run', fence } | { kind: 'ended', … } | { kind: 'closed' }
--   op 'end': fence (null: fence off whoever holds it), status, output, error, warnings, usage, model, "turnIds", events
--                                                                    -> { kind: 'recorded' } | { kind: 'ended', … } | { kind: 'superseded' } | { kind: 'closed' }
CREATE TYPE signalbox_op AS (op text, key text, "stepId" text, path text, attempt integer, type text, at bigint, events json,
  input json, holder text, "mayRepeat" boolean, started json, "unknownError" json, unknown json,
  fence integer, status text, output json, error json, warnings json, usage json, model text, "turnIds" json);

-- Of an operation: its answer, and what it appends.
CREATE TYPE signalbox_done AS (answer json, events signalbox_event[]);

-- The recorded answer of a step that has ended.
CREATE FUNCTION signalbox_answer(st steps) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN json_build_object('kind', 'ended', 'status', st.status, 'at', (extract(epoch FROM st.completed_at) * 1000)::bigint,
    'output', st.output, 'error', st.error, 'warnings', st.warnings, 'usage', st.usage);
END $$;

CREATE FUNCTION signalbox_begin_step(s streams, is_closed boolean, o signalbox_op) RETURNS signalbox_done LANGUAGE plpgsql AS $$
DECLARE
  carried signalbox_event[] := signalbox_events(o.events);
  st steps;
BEGIN
  IF NOT is_closed THEN
    INSERT INTO steps (execution_id, instance_key, owner_id, step_id, iteration_path, attempt, type, status, fence, holder, input, started_at)
    VALUES (s.id, o.key, s.owner_id, o."stepId", o.path, o.attempt, o.type, 'running', 1, o.holder, o.input, to_timestamp(o.at / 1000.0))
    ON CONFLICT (execution_id, instance_key) DO NOTHING;
    IF FOUND THEN
      RETURN ROW('{"kind":"run","fence":1}', carried || json_populate_record(NULL::signalbox_event, o.started))::signalbox_done;
    END IF;
  END IF;
  SELECT * INTO st FROM steps WHERE execution_id = s.id AND instance_key = o.key;
  IF st.status IN ('completed', 'failed', 'cancelled', 'skipped') THEN
    RETURN ROW(signalbox_answer(st), carried)::signalbox_done;
  END IF;
  IF is_closed THEN
    RETURN ROW('{"kind":"closed"}', carried)::signalbox_done;
  END IF;
  IF st.fence > 0 AND st.holder = o.holder THEN
    RETURN ROW(json_build_object('kind', 'run', 'fence', st.fence), carried)::signalbox_done;
  END IF;
  IF st.fence = 0 OR o."mayRepeat" THEN
    UPDATE steps SET fence = fence + 1, holder = o.holder, status = 'running', input = coalesce(input, o.input)
    WHERE execution_id = s.id AND instance_key = o.key;
    RETURN ROW(json_build_object('kind', 'run', 'fence', st.fence + 1), carried || json_populate_record(NULL::signalbox_event, o.started))::signalbox_done;
  END IF;
  UPDATE steps SET fence = fence + 1, holder = NULL, status = 'failed', error = o."unknownError", completed_at = to_timestamp(o.at / 1000.0)
  WHERE execution_id = s.id AND instance_key = o.key RETURNING * INTO st;
  RETURN ROW(signalbox_answer(st), carried || json_populate_record(NULL::signalbox_event, o.unknown))::signalbox_done;
END $$;

CREATE FUNCTION signalbox_end_step(s streams, is_closed boolean, o signalbox_op) RETURNS signalbox_done LANGUAGE plpgsql AS $$
DECLARE
  st steps;
BEGIN
  IF NOT is_closed THEN
    UPDATE steps AS t SET status = o.status, output = o.output, error = o.error, warnings = coalesce(o.warnings, t.warnings),
      usage = coalesce(o.usage, t.usage), model = coalesce(o.model, t.model), turn_ids = coalesce(o."turnIds", t.turn_ids),
      completed_at = to_timestamp(o.at / 1000.0), holder = NULL, fence = CASE WHEN o.fence IS NULL THEN t.fence + 1 ELSE t.fence END
    WHERE execution_id = s.id AND instance_key = o.key AND t.status NOT IN ('completed', 'failed', 'cancelled', 'skipped')
      AND (o.fence IS NULL OR t.fence = o.fence);
    IF FOUND THEN
      RETURN ROW('{"kind":"recorded"}', signalbox_events(o.events))::signalbox_done;
    END IF;
  END IF;
  SELECT * INTO st FROM steps WHERE execution_id = s.id AND instance_key = o.key;
  IF st.status IN ('completed', 'failed', 'cancelled', 'skipped') THEN
    RETURN ROW(signalbox_answer(st), '{}')::signalbox_done;
  END IF;
  IF is_closed THEN
    RETURN ROW('{"kind":"closed"}', '{}')::signalbox_done;
  END IF;
  IF o.fence IS NOT NULL THEN
    RETURN ROW('{"kind":"superseded"}', '{}')::signalbox_done;
  END IF;
  INSERT INTO steps (execution_id, instance_key, owner_id, step_id, iteration_path, attempt, type, status, fence, output, error, completed_at)
  VALUES (s.id, o.key, s.owner_id, o."stepId", o.path, o.attempt, o.type, o.status, 1, o.output, o.error, to_timestamp(o.at / 1000.0));
  RETURN ROW('{"kind":"recorded"}', signalbox_events(o.events))::signalbox_done;
END $$;

-- What a batch knows of the execution: the projection of the highest counter, and the commands applied.
CREATE TYPE signalbox_head AS (counter integer, status text, progress json, delivered text[]);

-- One batch of one process for one execution. p_head: a signalbox_head as JSON, or null.
CREATE FUNCTION signalbox_write(p_execution text, p_head json, p_ops json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  s streams;
  is_closed boolean;
  head signalbox_head := json_populate_record(NULL::signalbox_head, p_head);
  o signalbox_op;
  done signalbox_done;
  answers json[] := '{}';
  events signalbox_event[] := '{}';
BEGIN
  IF head.counter IS NOT NULL THEN
    PERFORM signalbox_project_execution(p_execution, head.counter, head.status, head.progress);
  END IF;
  SELECT * INTO s FROM streams WHERE id = p_execution FOR NO KEY UPDATE;
  is_closed := NOT FOUND OR s.closed_at IS NOT NULL;
  IF cardinality(head.delivered) > 0 THEN
    UPDATE commands SET delivered_at = now() WHERE delivered_at IS NULL AND target_id = p_execution AND id = ANY(head.delivered);
  END IF;
  FOR o IN SELECT * FROM json_populate_recordset(NULL::signalbox_op, p_ops) LOOP
    done := CASE o.op
      WHEN 'append' THEN ROW(json_build_object('kind', 'appended', 'closed', is_closed), signalbox_events(o.events))::signalbox_done
      WHEN 'begin' THEN signalbox_begin_step(s, is_closed, o)
      ELSE signalbox_end_step(s, is_closed, o)
    END;
    answers := answers || done.answer;
    events := events || done.events;
  END LOOP;
  PERFORM signalbox_append_locked(s, events);
  RETURN json_build_object('session', s.session_id, 'results', array_to_json(answers));
END $$;
