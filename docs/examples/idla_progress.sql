-- from another session, while a training runs; nothing runs now
SELECT model, phase, epoch, epochs FROM idla_progress;
