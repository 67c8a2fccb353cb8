// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: the module and its network namespaces.
 */
#include <linux/bitmap.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/proc_fs.h>
#include <linux/rtnetlink.h>
#include <linux/seq_file.h>
#include <linux/stt_genl.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/rtnetlink.h>

#include "stt_private.h"

unsigned int stt_net_id __read_mostly;

static const char * const stt_net_names[__STT_NET_MAX] = {
	[STT_NET_RX_SEGMENTS] = "rx_segments",
	[STT_NET_RX_WHOLE] = "rx_whole",
	[STT_NET_RX_REASSEMBLED] = "rx_reassembled",
	[STT_NET_RX_BAD_HEADER] = "rx_bad_header",
	[STT_NET_RX_BAD_CSUM] = "rx_bad_csum",
	[STT_NET_RX_EMPTY] = "rx_empty",
	[STT_NET_RX_BAD_LENGTH] = "rx_bad_length",
	[STT_NET_RX_DUPLICATE] = "rx_duplicate",
	[STT_NET_RX_OVERLAP] = "rx_overlap",
	[STT_NET_RX_LENGTH_MISMATCH] = "rx_length_mismatch",
	[STT_NET_RX_NO_BUDGET] = "rx_no_budget",
	[STT_NET_RX_NO_MEM] = "rx_no_mem",
	[STT_NET_RX_POLICY] = "rx_policy",
	[STT_NET_RX_FRAGMENT] = "rx_fragment",
	[STT_NET_RX_BAD_VERSION] = "rx_bad_version",
	[STT_NET_RX_UNKNOWN_ID] = "rx_unknown_id",
	[STT_NET_PMTU_LEARNED] = "pmtu_learned",
	[STT_NET_PMTU_REJECTED] = "pmtu_rejected",
	[STT_NET_TX_UNREACHABLE] = "tx_unreachable",
};

/**
 * stt_pernet() - what stt keeps for a network namespace
 * @net: the namespace
 *
 * Return: never NULL while the module is loaded.
 */
struct stt_net *stt_pernet(const struct net *net)
{
	return net_generic(net, stt_net_id);
}

/**
 * stt_net_name() - what a counter is called
 * @c: the counter
 *
 * Return: its name, which does not change from version to version.
 */
const char *stt_net_name(enum stt_net_counter c)
{
	return stt_net_names[c];
}

/**
 * stt_net_total() - value of a counter
 * @sn: namespace
 * @c: the counter
 *
 * Return: the sum over all CPUs.
 */
u64 stt_net_total(const struct stt_net *sn, enum stt_net_counter c)
{
	u64 total = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct stt_net_stats *stats = per_cpu_ptr(sn->stats, cpu);
		unsigned int start;
		u64 count;

		do {
			start = u64_stats_fetch_begin(&stats->syncp);
			count = u64_stats_read(&stats->count[c]);
		} while (u64_stats_fetch_retry(&stats->syncp, start));
		total += count;
	}
	return total;
}

/* /proc/net/stt: one "name value" a line */
static int __maybe_unused stt_net_show(struct seq_file *seq, void *unused)
{
	const struct stt_net *sn = stt_pernet(seq_file_single_net(seq));
	int i;

	for (i = 0; i < __STT_NET_MAX; i++)
		seq_printf(seq, "%s %llu\n", stt_net_names[i],
			   stt_net_total(sn, i));
	seq_printf(seq, "reasm_timeouts %lu\n",
		   atomic_long_read(&sn->reasm.timeouts));
	seq_printf(seq, "reasm_evictions %lu\n",
		   atomic_long_read(&sn->reasm.evictions));
	seq_printf(seq, "reasm_mem %lu\n", atomic_long_read(&sn->reasm.mem));
	seq_printf(seq, "reasm_budget %lu\n", READ_ONCE(sn->reasm.budget));
	return 0;
}

static int __net_init stt_proc_init(struct net *net)
{
	if (IS_ENABLED(CONFIG_PROC_FS) &&
	    !proc_create_net_single("stt", 0444, net->proc_net, stt_net_show,
				    NULL))
		return -ENOMEM;
	return 0;
}

static int __net_init stt_net_init(struct net *net)
{
	struct stt_net *sn = stt_pernet(net);
	int err;

	sn->net = net;
	INIT_LIST_HEAD(&sn->devs);
	xa_init(&sn->ports);
	xa_init(&sn->lowers);
	stt_reasm_defaults(&sn->reasm);
	sn->stats = netdev_alloc_pcpu_stats(struct stt_net_stats);
	if (!sn->stats)
		return -ENOMEM;
	err = stt_tunnels_init(sn);
	if (err)
		goto err_free_stats;
	err = stt_proc_init(net);
	if (err)
		goto err_tunnels_exit;
	return 0;

err_tunnels_exit:
	stt_tunnels_exit(sn);
err_free_stats:
	free_percpu(sn->stats);
	return err;
}

static void stt_net_exit(struct net *net)
{
	struct stt_net *sn = stt_pernet(net);

	remove_proc_entry("stt", net->proc_net);
	WARN_ON_ONCE(sn->hooks || !xa_empty(&sn->ports) ||
		     !xa_empty(&sn->lowers));
	xa_destroy(&sn->ports);
	xa_destroy(&sn->lowers);
	stt_reasm_exit(&sn->reasm);
	stt_early_exit(sn);
	bitmap_free(sn->port_map);
	stt_tunnels_exit(sn);
	free_percpu(sn->stats);
}

/* Devices go with the namespace of their underlay, wherever they are. */
static void __net_exit stt_net_exit_batch(struct list_head *nets)
{
	struct stt_dev *stt, *next;
	bool used = false;
	struct net *net;
	LIST_HEAD(kill);

	rtnl_lock();
	list_for_each_entry(net, nets, exit_list)
		list_for_each_entry_safe(stt, next, &stt_pernet(net)->devs,
					 list)
			stt_dev_del(stt->dev, &kill);
	unregister_netdevice_many(&kill);
	rtnl_unlock();

	list_for_each_entry(net, nets, exit_list)
		used |= !!stt_pernet(net)->port_map;
	/* Destinations that are about to be freed have routes in them. */
	if (used)
		rcu_barrier();
	list_for_each_entry(net, nets, exit_list)
		stt_net_exit(net);
}

static struct pernet_operations stt_net_ops = {
	.init = stt_net_init,
	.exit_batch = stt_net_exit_batch,
	.id = &stt_net_id,
	.size = sizeof(struct stt_net),
};

/* A device is new to its namespace, or leaves it. */
static void stt_own_event(struct net_device *dev, unsigned long event)
{
	if (event == NETDEV_REGISTER)
		stt_event_dev(netdev_priv(dev), STT_CMD_DEV_NEW_NTF);
	else if (event == NETDEV_UNREGISTER)
		stt_event_dev(netdev_priv(dev), STT_CMD_DEV_DEL_NTF);
}

static int stt_netdev_event(struct notifier_block *nb, unsigned long event,
			    void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	const struct netdev_notifier_changeupper_info *changed;

	/* Said again and again while somebody holds on to the device. */
	if (dev->reg_state == NETREG_UNREGISTERED)
		return NOTIFY_DONE;
	if (dev->rtnl_link_ops == &stt_link_ops)
		stt_own_event(dev, event);
	switch (event) {
	case NETDEV_UNREGISTER:
		stt_dev_lower_changed(dev, true);
		break;
	case NETDEV_CHANGEUPPER:
		/* Tunnels that are put on top of it tell nothing about it. */
		changed = ptr;
		if (changed->master)
			stt_dev_lower_changed(dev, false);
		break;
	case NETDEV_CHANGEMTU:
	case NETDEV_CHANGEADDR:
	case NETDEV_DOWN:
		stt_dev_lower_changed(dev, false);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block stt_notifier = {
	.notifier_call = stt_netdev_event,
};

static int __init stt_module_init(void)
{
	int err;

	stt_xmit_init();
	err = stt_reasm_cache_init();
	if (err)
		return err;
	err = stt_reasm_selftest() ?: stt_frame_selftest();
	if (err)
		goto err_cache_exit;
	err = stt_metadata_init();
	if (err)
		goto err_cache_exit;
	err = register_pernet_subsys(&stt_net_ops);
	if (err)
		goto err_metadata_exit;
	err = stt_genl_init();
	if (err)
		goto err_unregister_pernet;
	err = register_netdevice_notifier(&stt_notifier);
	if (err)
		goto err_genl_exit;
	err = rtnl_link_register(&stt_link_ops);
	if (err)
		goto err_unregister_notifier;
	return 0;

err_unregister_notifier:
	unregister_netdevice_notifier(&stt_notifier);
err_genl_exit:
	stt_genl_exit();
err_unregister_pernet:
	unregister_pernet_subsys(&stt_net_ops);
err_metadata_exit:
	stt_metadata_exit();
err_cache_exit:
	stt_reasm_cache_exit();
	return err;
}

static void __exit stt_module_exit(void)
{
	rtnl_link_unregister(&stt_link_ops);
	unregister_netdevice_notifier(&stt_notifier);
	stt_genl_exit();
	unregister_pernet_subsys(&stt_net_ops);
	/* Configurations may still wait to be freed by our callback. */
	rcu_barrier();
	stt_metadata_exit();
	stt_reasm_cache_exit();
}

module_init(stt_module_init);
module_exit(stt_module_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stateless Transport Tunneling (STT) network device");
MODULE_ALIAS_RTNL_LINK("stt");
MODULE_ALIAS_GENL_FAMILY("stt");
