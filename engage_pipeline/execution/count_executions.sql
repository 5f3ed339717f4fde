-- count_executions: executions by status; `conditions` are put in by `reading`
select
    executions.status,
    count(*)
from flow_executions as executions
where {conditions}
group by executions.status
