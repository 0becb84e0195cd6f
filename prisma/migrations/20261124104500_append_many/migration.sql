-- A flush after a long pure stretch brings thousands of events at once. One at a time, as single steps are best written, they cost
-- 0.1 ms each; together a fraction of it.

-- Appends under the stream's lock, which the caller holds and read `s` by: as signalbox_append_locked does, in three statements
-- however many they are. The stream is open, and none of them is terminal.
CREATE FUNCTION signalbox_append_many(s streams, p_events signalbox_event[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  mirror integer;
  appended integer;
BEGIN
  IF s.kind = 'session' THEN
    mirror := s.next_seq;
  ELSIF s.session_id IS NOT NULL THEN
    SELECT next_seq INTO mirror FROM streams WHERE id = s.session_id FOR NO KEY UPDATE;
  END IF;
  WITH given AS (
    SELECT e.key, e.kind, e."executionId" AS execution_id, e."stepId" AS step_id, e.path, e.attempt, e.at, e.data, e.step, e.log, nth
    FROM unnest(p_events) WITH ORDINALITY AS e(key, kind, "executionId", "stepId", path, attempt, at, data, step, log, nth)
  ), fresh AS (
    SELECT g.*, (row_number() OVER (ORDER BY nth) - 1)::integer AS place FROM given AS g
    WHERE log IS NOT FALSE
      AND NOT EXISTS (SELECT FROM events AS v WHERE v.stream_id = s.id AND v.event_key = g.key)
      AND NOT EXISTS (SELECT FROM given AS earlier WHERE earlier.key = g.key AND earlier.log IS NOT FALSE AND earlier.nth < g.nth)
  ), logged AS (
    INSERT INTO events (stream_id, seq, owner_id, session_id, session_seq, event_key, execution_id, kind, step_id, iteration_path, attempt, at, data)
    SELECT s.id, s.next_seq + place, s.owner_id, CASE s.kind WHEN 'session' THEN s.id ELSE s.session_id END, mirror + place,
      key, CASE s.kind WHEN 'execution' THEN s.id ELSE execution_id END, kind, step_id, path, attempt, to_timestamp(at / 1000.0), data
    FROM fresh
    RETURNING 1
  ), told AS (
    SELECT g.nth, g.step_id, g.path, g.attempt, to_timestamp(g.at / 1000.0) AS instant, p.*
    FROM given AS g CROSS JOIN LATERAL json_to_record(g.step) AS p(key text, type text, status text, input json, output json, error json,
      choice json, warnings json, usage json, model text, "turnIds" json, seeded boolean)
    WHERE g.step IS NOT NULL AND (g.log IS FALSE OR EXISTS (SELECT FROM fresh AS f WHERE f.nth = g.nth))
  ), projected AS (
    -- What a batch says of one row, told as one: the last word stands. Nothing follows an end within it.
    INSERT INTO steps AS t (execution_id, instance_key, owner_id, step_id, iteration_path, attempt, type, status, input, output, error, choice,
      warnings, usage, model, turn_ids, seeded, started_at, completed_at)
    SELECT s.id, key, s.owner_id, min(step_id), min(path), min(attempt), min(type), (array_agg(status ORDER BY nth DESC))[1],
      (array_agg(input ORDER BY nth DESC) FILTER (WHERE input IS NOT NULL))[1],
      (array_agg(output ORDER BY nth DESC) FILTER (WHERE output IS NOT NULL))[1],
      (array_agg(error ORDER BY nth DESC) FILTER (WHERE error IS NOT NULL))[1],
      (array_agg(choice ORDER BY nth DESC) FILTER (WHERE choice IS NOT NULL))[1],
      (array_agg(warnings ORDER BY nth DESC) FILTER (WHERE warnings IS NOT NULL))[1],
      (array_agg(usage ORDER BY nth DESC) FILTER (WHERE usage IS NOT NULL))[1],
      (array_agg(model ORDER BY nth DESC) FILTER (WHERE model IS NOT NULL))[1],
      (array_agg("turnIds" ORDER BY nth DESC) FILTER (WHERE "turnIds" IS NOT NULL))[1],
      bool_or(coalesce(seeded, false)),
      min(instant) FILTER (WHERE status <> 'skipped'),
      max(instant) FILTER (WHERE status IN ('completed', 'failed', 'cancelled', 'skipped'))
    FROM told GROUP BY key
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
    WHERE t.status NOT IN ('completed', 'failed', 'cancelled', 'skipped')
  )
  SELECT count(*) INTO appended FROM logged;
  IF appended > 0 THEN
    UPDATE streams SET next_seq = next_seq + appended WHERE id = s.id;
    IF s.kind = 'execution' AND mirror IS NOT NULL THEN
      UPDATE streams SET next_seq = mirror + appended WHERE id = s.session_id;
    END IF;
  END IF;
END $$;

CREATE OR REPLACE FUNCTION signalbox_write(p_execution text, p_head json, p_ops json) RETURNS json LANGUAGE plpgsql AS $$
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
  IF NOT is_closed AND cardinality(events) > 64 AND NOT EXISTS (
    SELECT FROM unnest(events) AS e WHERE e.kind IN ('execution.completed', 'execution.failed', 'execution.cancelled')
  ) THEN
    PERFORM signalbox_append_many(s, events);
  ELSE
    PERFORM signalbox_append_locked(s, events);
  END IF;
  RETURN json_build_object('session', s.session_id, 'results', array_to_json(answers));
END $$;
