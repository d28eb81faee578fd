import { createClient } from '@supabase/supabase-js'
import { useEffect, useState } from 'react'
const supabase = createClient(
'https://your-project.supabase.co',
'your-anon-key'
)
export default function InferenceMonitor() {
const [metrics, setMetrics] = useState([])
const [alerts, setAlerts] = useState([])
useEffect(() => {
// Load initial data
loadMetrics()
loadAlerts()
// Subscribe to new inference logs
const inferenceSubscription = supabase
.channel('inference-logs')
.on(
'postgres_changes',
{
event: 'INSERT',
schema: 'public',
table: 'inference_logs'
},
(payload) => {
console.log('New inference:', payload.new)
// Refresh metrics when new data arrives
loadMetrics()
}
)
.subscribe()
// Subscribe to new alerts
const alertSubscription = supabase
.channel('alerts')
.on(
'postgres_changes',
{
event: 'INSERT',
schema: 'public',
table: 'system_alerts'
},
(payload) => {
setAlerts(prev => [payload.new, ...prev])
// Show notification
if (payload.new.severity === 'critical') {
showCriticalAlert(payload.new.message)
}
}
)
.subscribe()
return () => {
inferenceSubscription.unsubscribe()
alertSubscription.unsubscribe()
}
}, [])
async function loadMetrics() {
const { data } = await supabase
.from('inference_metrics_hourly')
.select('*')
.order('minute', { ascending: false })
.limit(60)
setMetrics(data || [])
}
async function loadAlerts() {
const { data } = await supabase
.from('system_alerts')
.select('*')
.eq('acknowledged', false)
.order('timestamp', { ascending: false })
setAlerts(data || [])
}
return (
<div className="dashboard">
<MetricsChart data={metrics} />
<AlertPanel alerts={alerts} />
<LiveStats metrics={metrics[0]} />
</div>
)
}
