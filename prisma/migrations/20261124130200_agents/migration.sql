-- Whether the built-in demo model answers there: the worker knows, gateways ask.
ALTER TABLE "workers" ADD COLUMN "is_demo_model" BOOLEAN NOT NULL DEFAULT false;
