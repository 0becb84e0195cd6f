-- How many executions of an owner, and of the deployment, are active beside one, under the locks of the limits: owner first, then deployment.
-- One call, so that nobody waits for those locks while a caller's process is busy between two statements. A volatile function's query sees what
-- was committed while the locks were waited for.
CREATE FUNCTION signalbox_active_beside(p_owner text, p_all boolean, p_execution text, OUT active_user integer, OUT active_global integer)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(7270, hashtext(p_owner));
  IF p_all THEN
    PERFORM pg_advisory_xact_lock(7271, 0);
  END IF;
  SELECT count(*) FILTER (WHERE e.owner_id = p_owner), count(*) INTO active_user, active_global FROM executions e
  WHERE e.status IN ('pending', 'running') AND e.trigger_type <> 'subworkflow' AND e.id <> p_execution;
END
$$;
